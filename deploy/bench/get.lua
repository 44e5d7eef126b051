-- Gets a URL again and again or, where it ends in a slash, the first so many below it, one after the other:
--   wrk -s get.lua URL -- COUNT

local number = 0

function setup(thread)
   thread:set("index", number)
   number = number + 1
end

function init(args)
   local count = tonumber(args[1])
   if wrk.path:sub(-1) ~= "/" then return end -- wrk builds the request once
   local requests = {}
   for id = 1, count do requests[id] = wrk.format("GET", wrk.path .. id) end
   local next = math.floor(index * count / 2) -- each thread begins elsewhere
   request = function()
      next = next % count + 1
      return requests[next]
   end
end

function done(summary, latency, requests)
   local e = summary.errors
   print(string.format('{"requests":%d,"seconds":%f,"refused":%d,"broken":%d,"late":%d}',
      summary.requests, summary.duration / 1e6, e.status, e.connect + e.read + e.write, e.timeout))
end
