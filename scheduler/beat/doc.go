// Package beat turns a YAML file of schedules into tasks: one enqueue a tick, however many schedulers run.
//
// What an entry may be, and when it ticks, is in package schedule.
//
// # Clocks
//
// While a host's clock is ahead of Redis's by more than ticks.Tolerance, the scheduler goes by Redis's clock, so that its
// ticks are on time all the same. It says so in its log, and Ready fails until the clocks agree.
//
// # Once
//
// How a tick is enqueued once, although any scheduler may be killed, stopped or late at any instruction, is argued in
// package ticks and in tick.go.
package beat
