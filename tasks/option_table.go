package tasks

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// optionRow is all about one option but its value and its effect. To add an option takes the value with its functional
// option and its JSON field (option.go), a row here, and the effect.
type optionRow struct {
	name    string // of its JSON field, and of the field of an OptionError; "" for what has no JSON form
	ofTicks bool   // an entry of a schedule may have it
	doc     optionDoc
	check   optionCheck // refuses the value alone, and beside others

	checkJSON func(j *Options) error                 // refuses what only the JSON form can get wrong
	apply     func(j *Options, o *options)           // from the JSON form, if it's there
	show      func(o, standard *options, j *Options) // to the JSON form, unless it's the standard
	header    storedHeader                           // in which it goes to the worker
}

// optionDoc is the option's row in deploy/docs/tasks.md, which a test holds against it.
type optionDoc struct{ call, json, bounds, standard string }

// optionTable has the options in the order in which they are checked. Callbacks are checked and bound elsewhere, because
// their own options are in the table: see validateCallbacks and Options.List.
var optionTable = []optionRow{
	{
		name:  "id",
		doc:   optionDoc{"`ID(id)`, of a call", "`id`", "1 to 128 of `A-Z a-z 0-9 . _ : @ -`; ids are one space, whatever the queue", "`<queue>_<uuid v7>`"},
		check: checkID,
		checkJSON: func(j *Options) error {
			if j.ID != nil && *j.ID == "" {
				return optionErrorf("id", "is empty: leave it out to have one made")
			}
			return nil
		},
		apply: func(j *Options, o *options) { applyJSON(o, ID, j.ID) },
		show:  func(o, _ *options, j *Options) { j.ID = unlessStandard("", o.id) },
	},
	{
		doc: optionDoc{"`MadeID(id)`, of a call", "–", "an id of `NewID` that was made for this task, before it is enqueued: no other queue is searched for it", "–"},
	},
	{
		name:  "queue",
		doc:   optionDoc{"`Queue(name)`", "`queue`", "1 to 64 letters, digits, `_`, `-`", "`default`"},
		check: checkQueue,
		apply: func(j *Options, o *options) { applyJSON(o, Queue, j.Queue) },
	},
	{
		name: "priority", ofTicks: true,
		doc:   optionDoc{"`Priority(level)`", "`priority`", "`high`, `normal`, `low`", "`normal`"},
		check: checkPriority,
		apply: func(j *Options, o *options) { applyJSON(o, Priority, j.Priority) },
		show:  func(o, std *options, j *Options) { j.Priority = unlessStandard(std.priority, o.priority) },
	},
	{
		name:  "countdown",
		doc:   optionDoc{"`Countdown(d)`", "`countdown`", delayBounds.doc(), "at once"},
		check: delayBounds.check("countdown", func(o *options) time.Duration { return o.countdown }),
		apply: func(j *Options, o *options) { applySeconds(o, Countdown, j.Countdown) },
		show:  func(o, _ *options, j *Options) { j.Countdown = unlessStandard(0, Seconds(o.countdown)) },
	},
	{
		name:  "eta",
		doc:   optionDoc{"`ETA(t)`, of a call", "`eta`", "up to 10 years ahead; excludes `countdown`", "at once"},
		check: checkETA,
		apply: func(j *Options, o *options) { applyJSON(o, ETA, j.ETA) },
		show: func(o, _ *options, j *Options) {
			if !o.eta.IsZero() {
				j.ETA = &o.eta
			}
		},
	},
	{
		name: "expires", ofTicks: true,
		doc: optionDoc{"`Expires(t)`, of a call, `ExpiresIn(d)`", "`expires`: a time, or a duration after the eta or now",
			"after the eta, by at most 366 days as a duration", "never"},
		check: all(retentionBounds.check("expires", func(o *options) time.Duration { return o.expiresIn }), checkExpires),
		checkJSON: func(j *Options) error {
			if j.Expires != nil && j.Expires.At.IsZero() && j.Expires.In <= 0 {
				return optionErrorf("expires", "a duration must be above 0")
			}
			return nil
		},
		apply: func(j *Options, o *options) { applyJSON(o, Expiry.option, j.Expires) },
		show: func(o, _ *options, j *Options) {
			if !o.expires.IsZero() || o.expiresIn != 0 {
				j.Expires = &Expiry{At: o.expires, In: o.expiresIn}
			}
		},
	},
	{
		name: "max_retries", ofTicks: true,
		doc:   optionDoc{"`MaxRetries(n)`", "`max_retries`", retryBounds.doc(), "3"},
		check: retryBounds.check("max_retries", func(o *options) int { return o.maxRetries }),
		apply: func(j *Options, o *options) { applyJSON(o, MaxRetries, j.MaxRetries) },
		show:  func(o, std *options, j *Options) { j.MaxRetries = unlessStandard(std.maxRetries, o.maxRetries) },
	},
	{
		name: "backoff", ofTicks: true,
		doc:   optionDoc{"`Backoff(base, cap)`, `Jitter(on)`", "`backoff`: `{\"base\",\"cap\",\"jitter\"}`", hardBounds.doc(), "1 s to 10 min, full jitter"},
		check: func(o *options, _ time.Time) error { return o.backoff.validate() },
		apply: func(j *Options, o *options) { applyJSON(o, BackoffSettings.option, j.Backoff) },
		show: func(o, std *options, j *Options) {
			if o.backoff != std.backoff {
				j.Backoff = o.backoff.settings()
			}
		},
		header: storedHeader{
			key:    headerBackoff,
			absent: func(h *headers) bool { return h.backoff == standardBackoff },
			text:   func(h *headers) string { return h.backoff.String() },
			read: func(h *headers, value string) {
				if b, err := parseBackoff(value); err == nil {
					h.backoff = b
				}
			},
		},
	},
	{
		name: "timeout", ofTicks: true,
		doc:   optionDoc{"`Timeout(d)`, the soft limit", "`timeout`", timeoutBounds.doc(), "30 min"},
		check: timeoutBounds.check("timeout", func(o *options) time.Duration { return o.timeout }),
		apply: func(j *Options, o *options) { applySeconds(o, Timeout, j.Timeout) },
		show: func(o, std *options, j *Options) {
			j.Timeout = unlessStandard(Seconds(std.timeout), Seconds(o.timeout))
		},
		header: storedHeader{
			key:    headerTimeout,
			absent: func(h *headers) bool { return h.timeout == defaultTimeout },
			text:   func(h *headers) string { return storedDuration(h.timeout) },
			read:   func(h *headers, value string) { readDuration(value, &h.timeout) },
		},
	},
	{
		name: "hard_timeout", ofTicks: true,
		doc:   optionDoc{"`HardTimeout(d)`", "`hard_timeout`", "above the timeout, to 7 days", "5 s above the timeout"},
		check: all(hardBounds.check("hard_timeout", func(o *options) time.Duration { return o.hardTimeout }), checkHardTimeout),
		apply: func(j *Options, o *options) { applySeconds(o, HardTimeout, j.HardTimeout) },
		show:  func(o, _ *options, j *Options) { j.HardTimeout = unlessStandard(0, Seconds(o.hardTimeout)) },
		header: storedHeader{
			key:    headerHard,
			absent: func(h *headers) bool { return h.hardLimit() == hardLimit(h.timeout, 0) },
			text:   func(h *headers) string { return storedDuration(h.hardLimit()) },
			read:   func(h *headers, value string) { readDuration(value, &h.hardTimeout) },
		},
	},
	{
		name: "max_crashes", ofTicks: true,
		doc:    optionDoc{"`MaxCrashes(n)`", "`max_crashes`", crashBounds.doc(), "5"},
		check:  crashBounds.check("max_crashes", func(o *options) int { return o.maxCrashes }),
		apply:  func(j *Options, o *options) { applyJSON(o, MaxCrashes, j.MaxCrashes) },
		show:   func(o, std *options, j *Options) { j.MaxCrashes = unlessStandard(std.maxCrashes, o.maxCrashes) },
		header: storedNumber(headerCrashes, defaultMaxCrashes, 1, func(h *headers) *int { return &h.maxCrashes }),
	},
	{
		name: "result_limit", ofTicks: true,
		doc:    optionDoc{"`ResultLimit(bytes)`", "`result_limit`", "0 (keep none) to 1 MiB", "64 KiB"},
		check:  resultBounds.check("result_limit", func(o *options) int { return o.resultLimit }),
		apply:  func(j *Options, o *options) { applyJSON(o, ResultLimit, j.ResultLimit) },
		show:   func(o, std *options, j *Options) { j.ResultLimit = unlessStandard(std.resultLimit, o.resultLimit) },
		header: storedNumber(headerLimit, defaultResultLimit, 0, func(h *headers) *int { return &h.resultLimit }),
	},
	{
		name: "retention", ofTicks: true,
		doc:   optionDoc{"`Retention(d)`", "`retention`", "0 (keep nothing) to 366 days", "1 h"},
		check: retentionBounds.check("retention", func(o *options) time.Duration { return o.retention }),
		apply: func(j *Options, o *options) { applySeconds(o, Retention, j.Retention) },
		show: func(o, std *options, j *Options) {
			j.Retention = unlessStandard(Seconds(std.retention), Seconds(o.retention))
		},
		header: storedFlag(headerNoResult, func(h *headers) *bool { return &h.noResult }),
	},
	{
		name: "unique_for", ofTicks: true,
		doc:   optionDoc{"`UniqueFor(d)`", "`unique_for`", retentionBounds.doc(), "off"},
		check: retentionBounds.check("unique_for", func(o *options) time.Duration { return o.uniqueFor }),
		apply: func(j *Options, o *options) { applySeconds(o, UniqueFor, j.UniqueFor) },
		show:  func(o, _ *options, j *Options) { j.UniqueFor = unlessStandard(0, Seconds(o.uniqueFor)) },
	},
	{
		name: "unique_until_done", ofTicks: true,
		doc: optionDoc{"`UniqueUntilDone()`", "`unique_until_done`", "excludes the others of its kind", "off"},
		checkJSON: func(j *Options) error {
			if j.UniqueUntilDone != nil && j.UniqueFor != nil {
				return optionErrorf("unique_until_done", "excludes unique_for: give one of them")
			}
			return nil
		},
		apply: func(j *Options, o *options) { applyJSON(o, uniqueUntilDone, j.UniqueUntilDone) }, // shown as unique_for
	},
	{
		name: "unique_key", ofTicks: true,
		doc:   optionDoc{"`UniqueKey(key)`", "`unique_key`", "1 to 1,024 bytes", "the arguments"},
		check: checkUniqueKey,
		apply: func(j *Options, o *options) { applyJSON(o, UniqueKey, j.UniqueKey) },
		show:  func(o, _ *options, j *Options) { j.UniqueKey = unlessStandard("", o.extra().uniqueKey) },
	},
	{
		name: "throttle", ofTicks: true,
		doc:   optionDoc{"`Throttle(d)`", "`throttle`", retentionBounds.doc(), "off"},
		check: all(retentionBounds.check("throttle", func(o *options) time.Duration { return o.throttle }), checkThrottle),
		apply: func(j *Options, o *options) { applySeconds(o, Throttle, j.Throttle) },
		show:  func(o, _ *options, j *Options) { j.Throttle = unlessStandard(0, Seconds(o.throttle)) },
	},
	{
		name:  "debounce",
		doc:   optionDoc{"`Debounce(d)`", "`debounce`", retentionBounds.doc(), "off"},
		check: all(retentionBounds.check("debounce", func(o *options) time.Duration { return o.debounce }), checkDebounce),
		apply: func(j *Options, o *options) { applySeconds(o, Debounce, j.Debounce) },
		show:  func(o, _ *options, j *Options) { j.Debounce = unlessStandard(0, Seconds(o.debounce)) },
	},
	{
		name: "durable", ofTicks: true,
		doc:   optionDoc{"`Durable()`", "`durable`", "excludes `debounce`", "off"},
		apply: func(j *Options, o *options) { applyJSON(o, durable, j.Durable) },
		show:  func(o, std *options, j *Options) { j.Durable = unlessStandard(std.durable, o.durable) },
	},
	{
		name: "history", ofTicks: true,
		doc:   optionDoc{"`History(mode)`", "`history`", "`full`, `meta`, `off`", "`full`"},
		check: checkHistory,
		apply: func(j *Options, o *options) { applyJSON(o, History, j.History) },
		show:  func(o, std *options, j *Options) { j.History = unlessStandard(std.history, o.history) },
		header: storedHeader{
			key:    headerHistory,
			absent: func(h *headers) bool { return h.history == HistoryFull },
			text:   func(h *headers) string { return h.history.String() },
			read:   func(h *headers, value string) { _ = h.history.UnmarshalText([]byte(value)) }, // an unknown mode is the standard
		},
	},
	{
		name: "tags", ofTicks: true,
		doc:   optionDoc{"`Tags(tags...)`", "`tags`", "16 of 1 to 64 visible characters, no white space or commas", "none"},
		check: func(o *options, _ time.Time) error { return o.extra().validateTags() },
		apply: func(j *Options, o *options) {
			if len(j.Tags) > 0 {
				Tags(j.Tags...)(o)
			}
		},
		show: func(o, _ *options, j *Options) { j.Tags = o.extra().tags },
		header: storedHeader{
			key:    headerTags,
			absent: func(h *headers) bool { return len(h.tags) == 0 },
			text:   func(h *headers) string { return strings.Join(h.tags, " ") },
			read:   func(h *headers, value string) { h.tags = strings.Fields(value) },
		},
	},
	{
		name: "headers", ofTicks: true,
		doc:   optionDoc{"`Header(key, value)`", "`headers`: an object", "32; a value 1 KiB, together 8 KiB", "none"},
		check: func(o *options, _ time.Time) error { return o.extra().validateHeaders() },
		apply: func(j *Options, o *options) {
			for _, key := range slices.Sorted(maps.Keys(j.Headers)) {
				Header(key, j.Headers[key])(o)
			}
		},
		show:   func(o, _ *options, j *Options) { j.Headers = userHeaders(o.extra().headers) },
		header: storedHeader{key: headerUser}, // one for each key: encode and parseHeaders know of it
	},
	{
		name: "on_success", ofTicks: true,
		doc:    optionDoc{"`OnSuccess(calls...)`", "`on_success`: a list of calls", "8; 16 KiB of JSON together", "none"},
		header: storedText(headerOnSuccess, func(h *headers) *string { return &h.onSuccess }),
	},
	{
		name: "on_failure", ofTicks: true,
		doc:    optionDoc{"`OnFailure(calls...)`", "`on_failure`: a list of calls", "8; 16 KiB of JSON together", "none"},
		header: storedText(headerOnFailure, func(h *headers) *string { return &h.onFailure }),
	},
	{
		doc: optionDoc{"`RetryOnlyFor`, `NeverRetryFor`, `SnoozeFor`, `BackoffFunc`", "none", "of a definition only", "every error is retried"},
	},
	{
		doc:    optionDoc{"`Encrypted()`", "none", "of a definition only; see [Encrypted values](#encrypted-values)", "stored in the clear"},
		header: storedFlag(headerEncrypted, func(h *headers) *bool { return &h.encrypted }),
	},
	{
		doc: optionDoc{"`Repeatable()`", "none", "for definitions", "a task from an outbox is known for 15 minutes after its end"},
	},
}

// ScheduleOptions are the names of the options that an entry of a schedule may have. A tick has an id, a queue and a time of
// its own, which leaves no room for id, queue, countdown, eta and debounce.
func ScheduleOptions() []string {
	var names []string
	for _, row := range optionTable {
		if row.ofTicks {
			names = append(names, row.name)
		}
	}
	return names
}
