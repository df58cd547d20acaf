CREATE TABLE IF NOT EXISTS products (
    slug text PRIMARY KEY,
    name text NOT NULL,
    description text NOT NULL,
    price integer NOT NULL CHECK (price > 0),  -- in cents
    stock integer NOT NULL CHECK (stock >= 0)
);
CREATE TABLE IF NOT EXISTS basket_lines (
    basket uuid,
    product text REFERENCES products,
    quantity integer NOT NULL,
    changed timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (basket, product)
);
CREATE TABLE IF NOT EXISTS customers (
    name text PRIMARY KEY,
    password text NOT NULL,
    valid_since double precision NOT NULL DEFAULT 0  -- sessions before it have ended
);
CREATE TABLE IF NOT EXISTS orders (
    id serial PRIMARY KEY,
    customer text NOT NULL REFERENCES customers,
    made timestamptz NOT NULL DEFAULT now(),
    total integer NOT NULL,
    content text NOT NULL
);
INSERT INTO products VALUES
    ('teapot', 'Teapot', 'Short and stout. It does not brew coffee.', 2450, 5),
    ('cup', 'Cup', 'For 200 ml of tea, or of coffee.', 690, 20),
    ('sieve', 'Sieve', 'Of steel, so fine that no leaf comes through.', 1190, 12),
    ('tray', 'Tray', 'Carries a teapot and four cups without a drop.', 3200, 3),
    ('tea', 'Green tea', 'A tin of 100 g, from the slopes of a quiet valley.', 890, 50)
ON CONFLICT DO NOTHING;
