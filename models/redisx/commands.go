package redisx

// KeyCommands are commands on a key that nothing else has, one for each that the programs' calls and scripts use. They
// leave nothing behind.
func KeyCommands(key string) [][]any {
	member, soon := "m", 10_000 // ms, after which the key is gone even where it may not be deleted
	return [][]any{
		{"TIME"}, {"EVAL", "return 1", 0}, {"EVALSHA", "0", 0}, {"SCRIPT", "LOAD", "return 1"},
		{"SCAN", 0, "COUNT", 1},
		{"TYPE", key}, {"EXISTS", key}, {"GET", key}, {"TTL", key}, {"PTTL", key}, {"EXPIRE", key, 10}, {"UNLINK", key},
		{"EXPIREAT", key, 1}, {"PEXPIREAT", key, 1}, {"SETNX", key, 1}, {"PEXPIRE", key, soon}, {"INCR", key}, {"INCRBY", key, 1},
		{"DECRBY", key, 1}, {"SET", key, 1, "PX", soon}, {"DEL", key},
		{"HSET", key, member, 1}, {"PEXPIRE", key, soon}, {"HSETNX", key, member, 1}, {"HINCRBY", key, member, 1},
		{"HGET", key, member}, {"HMGET", key, member}, {"HGETALL", key}, {"HKEYS", key}, {"HVALS", key}, {"HLEN", key},
		{"HEXISTS", key, member}, {"HDEL", key, member}, {"DEL", key},
		{"LPUSH", key, member}, {"PEXPIRE", key, soon}, {"RPUSH", key, member}, {"LLEN", key}, {"LRANGE", key, 0, 1},
		{"LREM", key, 0, member}, {"RPOPLPUSH", key, key}, {"RPOP", key}, {"DEL", key},
		{"SADD", key, member}, {"PEXPIRE", key, soon}, {"SCARD", key}, {"SISMEMBER", key, member}, {"SMEMBERS", key},
		{"SSCAN", key, 0}, {"SREM", key, member}, {"DEL", key},
		{"ZADD", key, 1, member}, {"PEXPIRE", key, soon}, {"ZCARD", key}, {"ZSCORE", key, member}, {"ZRANK", key, member},
		{"ZRANGE", key, 0, 1}, {"ZREVRANGE", key, 0, 1}, {"ZRANGEBYSCORE", key, 0, 1}, {"ZREMRANGEBYRANK", key, 1, 2},
		{"ZREMRANGEBYSCORE", key, 2, 3}, {"ZREM", key, member}, {"DEL", key},
	}
}

// Touch are commands that show whether a user may read and write a key, and change nothing, whatever the key holds.
func Touch(key string) [][]any {
	return [][]any{{"EXISTS", key}, {"ZREM", key, "no such member"}}
}
