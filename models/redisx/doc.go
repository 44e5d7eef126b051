// Package redisx is what all users of a Redis share: a subscription that lasts, and the knowledge of which rights a
// server refuses.
package redisx
