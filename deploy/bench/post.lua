-- Posts the same body again and again, as one user after the other:
--   wrk -s post.lua URL -- BODY TOKENS THREADS once|again
-- TOKENS is a file with a token a line; each thread takes every THREADS-th. With "once" a thread stops after its last.

local number = 0

function setup(thread)
   thread:set("index", number)
   number = number + 1
end

function init(args)
   local all, tokens, threads, once = {}, {}, tonumber(args[3]), args[4] == "once"
   for token in io.lines(args[2]) do all[#all + 1] = token end
   for i = index + 1, #all, threads do tokens[#tokens + 1] = all[i] end
   wrk.method = "POST"
   wrk.body = args[1]
   wrk.headers["Content-Type"] = "application/json"
   if #all == 1 then -- wrk builds the request once
      wrk.headers["Authorization"] = "Bearer " .. all[1]
      return
   end
   wrk.headers["Authorization"] = "Bearer @"
   local head, tail = wrk.format():match("^(.-Bearer )@(.*)$")
   local next = 0
   request = function()
      next = next + 1
      if next > #tokens then
         if once then wrk.thread:stop() end
         next = 1
      end
      return head .. tokens[next] .. tail
   end
end

function done(summary, latency, requests)
   local e = summary.errors
   print(string.format('{"requests":%d,"seconds":%f,"refused":%d,"broken":%d,"late":%d}',
      summary.requests, summary.duration / 1e6, e.status, e.connect + e.read + e.write, e.timeout))
end
