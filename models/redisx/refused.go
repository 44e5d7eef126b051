package redisx

import (
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Refused tells whether a server has answered that it does not do this for this user: the user lacks a right, or the
// server the command. Trying again does not help until an operator acts.
func Refused(err error) bool {
	return redis.IsPermissionError(err) || redis.HasErrorPrefix(err, "unknown command") ||
		redis.HasErrorPrefix(err, "ACL failure") || // of a command in a script, since Redis 7
		err != nil && strings.Contains(err.Error(), "can't run this command or subcommand") // before
}

// isReply tells an answer of the server from the lack of one.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}
