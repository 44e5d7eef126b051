// Package broker is the Redis that tasks travel through. It turns a URL into a client, wakes idle workers instead of
// letting them poll, and keeps all reliance on asynq's private key names in one place.
package broker
