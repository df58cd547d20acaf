function init()
   local one = wrk.format("GET", "/hello/minimal")
   sixteen = string.rep(one, 16)
end

function request()
   return sixteen
end
