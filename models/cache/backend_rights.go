package cache

import "github.com/paidui/paidui/models/redisx"

// Needs are what the caches, with keys such as these, do with their Redis.
func Needs(keys ...string) []redisx.Need {
	commands := redisx.KeyCommands(redisx.ProbeKey("paidui:cache:"))
	for _, key := range keys {
		commands = append(commands, redisx.Touch(key)...)
	}
	return []redisx.Need{
		{Cost: "what is cached there is read from the database each time, and login codes can't be kept", Vital: true, Commands: commands},
		{
			Cost:    "what a process keeps before redis is up to PAIDUI_CACHE_NEAR_EXPIRY old",
			Publish: []string{channel}, Listen: []string{channel},
		},
	}
}
