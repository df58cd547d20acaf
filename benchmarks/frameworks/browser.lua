-- What a browser sends for a page: 13 fields and some 800 bytes, of which the referrer,
-- the cookie and the request id differ from one request to the next.
local head = table.concat({
   "Host: 127.0.0.1:8000",
   "Connection: keep-alive",
   'sec-ch-ua: "Chromium";v="142", "Not?A_Brand";v="99"',
   "sec-ch-ua-mobile: ?0",
   'sec-ch-ua-platform: "Linux"',
   "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
      .. " Chrome/142.0.0.0 Safari/537.36",
   "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,"
      .. "image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
   "Sec-Fetch-Site: same-origin",
   "Accept-Encoding: gzip, deflate, br, zstd",
   "Accept-Language: en-US,en;q=0.9",
}, "\r\n")
local varied = "GET %s HTTP/1.1\r\n%s\r\nReferer: http://127.0.0.1:8000/items/%d?page=%d"
   .. "\r\nCookie: theme=dark; test=sent; visits=%d; session=%032x"
   .. "\r\nX-Request-Id: %08x-7b1c-4c1e-9c55-%012x\r\n\r\n"
local requests, count = {}, 0

function init()
   for n = 1, 997 do
      requests[n] = varied:format(
         wrk.path, head, n * 7, n % 9, n, n * 7919, n * 104729, n * 15485863)
   end
end

function request()
   count = count % #requests + 1
   return requests[count]
end
