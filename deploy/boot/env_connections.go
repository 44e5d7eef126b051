package boot

import (
	"fmt"
	"net/netip"

	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/paidui/paidui/api/server"
)

const (
	// adminConnections is how many connections the admin address takes.
	adminConnections = 64
	// ownDescriptors are what a program has beside its clients and the pools of its stores: the admin address's
	// connections, listeners, files and subscriptions.
	ownDescriptors = adminConnections + 64
	// mostConnections bounds the memory of an API whose descriptors are not bounded.
	mostConnections = 65536
)

// connectionLimits are what the settings say or, where they are 0, what the descriptors of this process allow.
func (e *Env) connectionLimits() (ConnectionLimits, error) {
	descriptors, pools := Descriptors(), e.Stores.poolSizes()+e.ownConnections
	if e.embedded.started() {
		pools *= 2 // both ends of each connection are here
	}
	most := clientDescriptors(descriptors, pools)
	l := ConnectionLimits{
		Max: e.Config.MaxConnections, PerAddress: e.Config.MaxPerAddress, Exempt: []netip.Prefix(e.Config.TrustedProxies),
	}
	if l.Max > most && descriptors > 0 {
		return l, fmt.Errorf("PAIDUI_MAX_CONNECTIONS: %d are too many: of %d descriptors (ulimit -n) this process keeps %d for its"+
			" stores and files", l.Max, descriptors, descriptors-most)
	}
	if l.Max == 0 {
		l.Max = min(most, mostConnections)
	}
	if l.PerAddress == 0 {
		l.PerAddress = (l.Max + 1) / 2
	}
	l.PerAddress = min(l.PerAddress, l.Max)
	return l, nil
}

// clientDescriptors is how many of the process's descriptors clients may have, so that the pools can be filled: at least
// half. No bound of the descriptors, 0, is none of theirs.
func clientDescriptors(descriptors, pools int) int {
	if descriptors == 0 {
		return mostConnections
	}
	return descriptors - min(pools+ownDescriptors, descriptors/2)
}

// waitLimits leave a quarter of the connections to requests that do not wait.
func waitLimits(l ConnectionLimits) server.Waits {
	part := func(n int) int { return max(1, n-n/4) }
	return server.Waits{All: part(l.Max), Address: part(l.PerAddress)}
}

// poolSizes is how many connections the stores make at most, of clusters those to one node.
func (s *Stores) poolSizes() int {
	n := databasePool(s.DB)
	if s.Broker != nil {
		n += RedisConnections(s.Broker.Redis())
	}
	return n
}

func databasePool(db *gorm.DB) int {
	if db == nil {
		return 0
	}
	pool, err := db.DB()
	if err != nil {
		return 0
	}
	return pool.Stats().MaxOpenConnections
}

// RedisConnections is how many connections the client makes at most, of a cluster those to one node; 0 for nil.
func RedisConnections(client redis.UniversalClient) int {
	switch client := client.(type) {
	case *redis.Client:
		return client.Options().PoolSize
	case *redis.ClusterClient:
		return client.Options().PoolSize
	}
	return 0
}
