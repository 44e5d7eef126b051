-- holds tells whether the token is that of whoever is loading the sale.
local function holds(load, token) return redis.call('GET', load) == token end
