package tasks

import (
	"time"

	"github.com/paidui/paidui/tasks/broker"
)

// The bounds of options. A value outside gives an *OptionError.
const (
	MaxDelay      = 10 * 366 * 24 * time.Hour // countdown and eta, from now
	MaxRetention  = 366 * 24 * time.Hour      // also of UniqueFor, Throttle, Debounce, and of expires after the eta
	MaxTimeout    = 7 * 24 * time.Hour        // also of HardTimeout and of a backoff's cap
	MaxMaxRetries = 10_000
	MaxMaxCrashes = 1000
	MaxTags       = 16
	MaxTag        = 64       // characters
	MaxHeaders    = 32       // by Header
	MaxHeader     = 1 << 10  // bytes of a value
	MaxHeaderSize = 8 << 10  // bytes of all keys and values
	MaxUniqueKey  = 1 << 10  // bytes
	MaxCallbacks  = 8        // each of OnSuccess and OnFailure
	MaxCallback   = 16 << 10 // bytes of all callbacks as JSON
	MaxResult     = 1 << 20  // bytes, of ResultLimit
)

// Option changes how a task is enqueued and run. Those that name one task (ID, ETA, Expires) are for calls only; those that
// are code (RetryOnlyFor, NeverRetryFor, BackoffFunc) for definitions only; the others serve both. A call's option wins
// over its definition's, and a later one over an earlier, but tags, headers and callbacks add up.
type Option func(*options)

// runOptions are those that the worker goes by. They travel in the task's headers.
type runOptions struct {
	backoff     backoff
	timeout     time.Duration
	hardTimeout time.Duration // 0: see hardLimit
	maxCrashes  int
	resultLimit int
	history     HistoryMode
}

// options are the values of all options of one call.
type options struct {
	runOptions
	queue       string
	queueChosen bool // by the call, so that no route applies
	idMade      bool // for this task: an id that nobody else can have
	durable     bool
	repeatable  bool
	encrypted   bool
	priority    PriorityLevel
	id          string
	countdown   time.Duration
	eta         time.Time
	expires     time.Time
	expiresIn   time.Duration
	maxRetries  int
	uniqueFor   time.Duration
	throttle    time.Duration
	debounce    time.Duration
	retention   time.Duration
	extras      *extras // nil is none
	err         *OptionError
}

// Options is the JSON form of the options of one call. A field that is absent leaves the definition's value.
type Options struct {
	ID              *string           `json:"id,omitempty"`
	Queue           *string           `json:"queue,omitempty"`
	Priority        *PriorityLevel    `json:"priority,omitempty"`
	Countdown       *Seconds          `json:"countdown,omitempty"`
	ETA             *time.Time        `json:"eta,omitempty"`
	Expires         *Expiry           `json:"expires,omitempty"`
	MaxRetries      *int              `json:"max_retries,omitempty"`
	Backoff         *BackoffSettings  `json:"backoff,omitempty"`
	Timeout         *Seconds          `json:"timeout,omitempty"`
	HardTimeout     *Seconds          `json:"hard_timeout,omitempty"`
	MaxCrashes      *int              `json:"max_crashes,omitempty"`
	ResultLimit     *int              `json:"result_limit,omitempty"`
	UniqueFor       *Seconds          `json:"unique_for,omitempty"`
	UniqueUntilDone *bool             `json:"unique_until_done,omitempty"`
	UniqueKey       *string           `json:"unique_key,omitempty"`
	Throttle        *Seconds          `json:"throttle,omitempty"`
	Debounce        *Seconds          `json:"debounce,omitempty"`
	Retention       *Seconds          `json:"retention,omitempty"`
	History         *HistoryMode      `json:"history,omitempty"`
	Durable         *bool             `json:"durable,omitempty"`
	Tags            []string          `json:"tags,omitempty"`
	Headers         map[string]string `json:"headers,omitempty"`
	OnSuccess       []Call            `json:"on_success,omitempty"`
	OnFailure       []Call            `json:"on_failure,omitempty"`
}

// extras are what few tasks have. Copies of options share them, so they are replaced and never changed.
type extras struct {
	tags       []string
	headers    []broker.Header // by key
	uniqueKey  string
	onSuccess  []Signature
	onFailure  []Signature
	retry      *retryRules
	resolution *resolution
	parent     string // of a callback: JSON
}

var noExtras extras

func (o *options) extra() *extras {
	if o.extras == nil {
		return &noExtras
	}
	return o.extras
}

// change replaces the extras by a copy that f has changed.
func (o *options) change(f func(*extras)) {
	e := *o.extra()
	f(&e)
	o.extras = &e
}

// refuse notes why an option cannot be applied. The first reason is the one that is reported.
func (o *options) refuse(field, format string, args ...any) {
	if o.err == nil {
		o.err = optionErrorf(field, format, args...)
	}
}

func standardOptions() options {
	return options{queue: "default", maxRetries: 3, retention: time.Hour, runOptions: standardRunOptions()}
}

func standardRunOptions() runOptions {
	return runOptions{
		backoff: standardBackoff, timeout: defaultTimeout, maxCrashes: defaultMaxCrashes, resultLimit: defaultResultLimit,
	}
}

const (
	defaultTimeout     = 30 * time.Minute
	defaultMaxCrashes  = 5
	defaultResultLimit = 64 << 10
)

// Queue sends the task to the named queue. See ValidQueue. A call's queue wins over the client's routes, and those over
// the definition's.
func Queue(name string) Option { return func(o *options) { o.queue, o.queueChosen = name, true } }

// ID chooses the task's id, so that enqueueing it again is harmless: while the first is queued, running or retained,
// the second gives ErrDuplicate, whatever queue it names. See ValidID.
func ID(id string) Option { return func(o *options) { o.id, o.idMade = id, false } }

// MadeID is ID for an id that NewID made for this very task: no other queue is searched for it. Enqueueing it again gives no
// error, and no second task.
func MadeID(id string) Option { return func(o *options) { o.id, o.idMade = id, true } }

// Countdown starts the task no earlier than d from now; 0 is at once. It excludes ETA.
func Countdown(d time.Duration) Option { return func(o *options) { o.countdown = d } }

// ETA starts the task no earlier than t, and about a second later at most when a worker is free. A time in the past
// is at once. It excludes Countdown.
func ETA(t time.Time) Option { return func(o *options) { o.eta = t } }

// Expires revokes the task if no worker has begun it before t. It excludes ExpiresIn.
func Expires(t time.Time) Option {
	return func(o *options) { o.expires, o.expiresIn = t, 0 }
}

// ExpiresIn is Expires counted from the eta, or from now without one; 0 is never.
func ExpiresIn(d time.Duration) Option {
	return func(o *options) { o.expiresIn, o.expires = d, time.Time{} }
}

// MaxRetries bounds the attempts after the first. 0 is a single attempt. A run that dies with its worker does not count.
func MaxRetries(n int) Option { return func(o *options) { o.maxRetries = n } }

// Backoff waits about base before the first retry and twice as long before each further one, at most limit.
func Backoff(base, limit time.Duration) Option {
	return func(o *options) { o.backoff.base, o.backoff.limit = base, limit }
}

// Jitter turns full jitter on (the default) or off: a uniformly random part of the backoff instead of the whole.
func Jitter(on bool) Option { return func(o *options) { o.backoff.exact = !on } }

// Retention keeps the result of a task that succeeded or was revoked for d (whole seconds, rounded up). With 0 nothing
// is kept: the task is not found as soon as it has succeeded. Failures are kept for 90 days, the latest 10,000 a queue.
func Retention(d time.Duration) Option { return func(o *options) { o.retention = d } }
