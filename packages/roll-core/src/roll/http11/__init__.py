"""HTTP/1.1: bytes to events, and responses to bytes (RFC 9112).

Read the modules in this order:

- `parser`: turns the bytes of a connection into events, without any I/O. `framing` has
  the checks of a head that llhttp leaves to Roll, `familiar` knows the heads that need
  none, and `chunks` reads chunked bodies.
- `body`: the queue between the connection and the view that reads a request body.
- `writer`: turns a response into bytes, without any I/O.
- `state`: the states of a connection, and what the next modules need of it.
- `connection`: the `asyncio.Protocol`. It feeds the parser, and starts an exchange for
  each request.
- `exchange`: serves a request in its own task, and sends its response.
- `timeouts`: finds what takes too long.
- `outbox`: sends the responses of all connections, together where that is cheaper.
- `upgrade`: the step before a view takes over the connection, for example for a
  WebSocket.
- `sockets`: what the operating system knows of a connection.
- `tls`: a client that ends its side of a TLS connection, and still reads.
"""
