"""HTTP/1.1: bytes to events, and responses to bytes (RFC 9112).

Read the modules in this order:

- `parser`: turns the bytes of a connection into events, without any I/O. `framing` has
  the checks of a head that llhttp leaves to Roll, `chunks` reads chunked bodies.
- `body`: the queue between the connection and the view that reads a request body.
- `writer`: turns a response into bytes, without any I/O.
- `connection`: the `asyncio.Protocol`. It feeds the parser, starts a task for each
  request, sends the response, and watches the timeouts by its state.
- `outbox`: sends the responses of all connections, together where that is cheaper.
- `upgrade`: the step before a view that takes the connection over, for example a
  WebSocket.
- `sockets`: what the operating system knows of a connection.
"""
