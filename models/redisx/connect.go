package redisx

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/tlsfile"
)

// Connect opens the Redis at raw, which came from the named setting, and asks it for a sign of life. A URL that makes
// no sense, a wrong password or a missing database gives a *URLError; a server that does not answer gives an error
// that names its address. Each change gets the options that the URL gives, before they are used.
func Connect(ctx context.Context, setting, raw string, changes ...func(*redis.UniversalOptions)) (redis.UniversalClient, error) {
	o, err := readURL(setting, raw)
	if err != nil {
		return nil, err
	}
	for _, change := range changes {
		change(o)
	}
	client := newClient(o)
	if err := client.Ping(ctx).Err(); err != nil {
		err = explain(setting, o, err)
		return nil, errors.Join(err, client.Close())
	}
	return client, nil
}

// ConnectReplica opens a Redis that is only read: the server at raw or, where that names a sentinel or a cluster, its
// replicas, and the masters of those that have none. A server that does not answer is no error: the client comes with
// the reason why it is away. A *URLError is one, as in Connect.
func ConnectReplica(ctx context.Context, setting, raw string) (client redis.UniversalClient, away, err error) {
	o, err := readURL(setting, raw)
	if err != nil {
		return nil, nil, err
	}
	o.ReadOnly = true
	client = newClient(o)
	if err := client.Ping(ctx).Err(); err != nil {
		away = explain(setting, o, err)
		var wrong *URLError
		if errors.As(away, &wrong) {
			return nil, nil, errors.Join(away, client.Close())
		}
	}
	return client, away, nil
}

// findNodes is how often a client asks a cluster which node has what. A primary that is dead does not tell who has its
// place.
const findNodes = 5 * time.Second

func newClient(o *redis.UniversalOptions) redis.UniversalClient {
	if !o.IsClusterMode {
		return redis.NewUniversalClient(o)
	}
	cluster := o.Cluster()
	cluster.ClusterStateReloadInterval = findNodes
	return redis.NewClusterClient(cluster)
}

func explain(setting string, o *redis.UniversalOptions, err error) error {
	where := strings.Join(o.Addrs, ",")
	fatal := func(msg string) error {
		return &URLError{Setting: setting, Msg: fmt.Sprintf("Redis at %s %s", where, msg)}
	}
	switch {
	case redis.IsAuthError(err) && o.Password == "":
		return fatal("asks for a password: add it as redis://:password@" + where)
	case redis.IsAuthError(err):
		return fatal("refuses the user or password")
	case redis.HasErrorPrefix(err, "ERR DB index is out of range"), redis.HasErrorPrefix(err, "DB index is out of range"):
		return fatal(fmt.Sprintf("has no database %d", o.DB))
	case redis.IsPermissionError(err):
		return fatal("does not let this user in: " + err.Error())
	case tlsfile.Untrusted(err):
		return fatal("has a certificate that is not trusted: name its authority with ca_file in the URL: " + err.Error())
	}
	return fmt.Errorf("%s: no answer from Redis at %s: %w", setting, where, err)
}
