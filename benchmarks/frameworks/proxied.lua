-- What comes through a proxy: 14 fields, of which those that the proxy adds for each
-- client and request differ.
local head = table.concat({
   "Host: shop.example",
   "X-Forwarded-Proto: https",
   "X-Forwarded-Host: shop.example",
   "X-Forwarded-Port: 443",
   'sec-ch-ua: "Chromium";v="142", "Not?A_Brand";v="99"',
   "sec-ch-ua-mobile: ?0",
   'sec-ch-ua-platform: "Linux"',
   "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
      .. " Chrome/142.0.0.0 Safari/537.36",
   "Accept: application/json",
   "Accept-Encoding: gzip, deflate, br, zstd",
   "Accept-Language: en-US,en;q=0.9",
}, "\r\n")
local varied = "GET %s HTTP/1.1\r\n%s\r\nX-Forwarded-For: 203.0.113.%d"
   .. "\r\nX-Real-IP: 203.0.113.%d\r\nX-Request-Id: %032x\r\n\r\n"
local requests, count = {}, 0

function init()
   for n = 1, 997 do
      local last = n % 250 + 1
      requests[n] = varied:format(wrk.path, head, last, last, n * 104729)
   end
end

function request()
   count = count % #requests + 1
   return requests[count]
end
