// Package redisx is what all users of a Redis share: from a URL to a client, scripts, a subscription that lasts, the joining of
// what concurrent callers ask for into batches, and the knowledge of which rights a server refuses.
package redisx
