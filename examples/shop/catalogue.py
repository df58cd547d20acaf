"""What is sold: the public pages, and the same as JSON."""

from roll import HttpError, RouteTable

routes = RouteTable()


def money(cents):
    return f"€ {cents // 100}.{cents % 100:02}"


@routes.get("/")
async def catalogue(request, response):
    products = await request.app["db"].fetch("SELECT * FROM products ORDER BY name")
    pages = request.app["templates"]
    await pages.render(request, response, "catalogue.html", products=products)


@routes.get("/products.json")
async def products(request, response):
    found = await request.app["db"].fetch("SELECT * FROM products ORDER BY name")
    response.json = [dict(product) for product in found]


@routes.get("/products/{slug:[a-z-]{1,40}}")
async def product(request, response, slug):
    query = "SELECT * FROM products WHERE slug = $1"
    product = await request.app["db"].fetchrow(query, slug)
    if product is None:
        raise HttpError(404, "There is no such product")
    pages = request.app["templates"]
    await pages.render(request, response, "product.html", product=product)
