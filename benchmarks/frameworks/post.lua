wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"name": "Roll", "numbers": [1, 2, 3]}'
