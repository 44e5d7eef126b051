package tasks

import (
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

func (o *options) validateDefaults() error {
	switch {
	case o.id != "":
		return optionErrorf("id", "belongs to a call, not to a definition")
	case !o.eta.IsZero():
		return optionErrorf("eta", "belongs to a call, not to a definition")
	case !o.expires.IsZero():
		return optionErrorf("expires", "a time belongs to a call; a definition takes ExpiresIn")
	}
	if err := o.validate(time.Now()); err != nil {
		return err
	}
	_, _, err := o.extra().encodeCallbacks()
	return err
}

// validate checks each option, and those that concern each other, with an *OptionError.
func (o *options) validate(now time.Time) error {
	if o.err != nil {
		return o.err
	}
	for i := range optionTable {
		if check := optionTable[i].check; check != nil {
			if err := check(o, now); err != nil {
				return err
			}
		}
	}
	if o.extras == nil {
		return nil
	}
	if err := o.extras.validateCallbacks(now); err != nil {
		return err
	}
	return o.validateCallbackIDs()
}

type optionCheck func(o *options, now time.Time) error

// bounds are the least and the most value of an option. Their texts are in the errors and, with "to" for "and", in the
// documentation.
type bounds[T int | time.Duration] struct {
	least, most         T
	leastText, mostText string // "": as the value is printed
}

func (b bounds[T]) texts() (least, most string) {
	least, most = b.leastText, b.mostText
	if least == "" {
		least = fmt.Sprint(b.least)
	}
	if most == "" {
		most = fmt.Sprint(b.most)
	}
	return least, most
}

// check refuses what is out of bounds.
func (b bounds[T]) check(name string, value func(*options) T) optionCheck {
	least, most := b.texts()
	return func(o *options, _ time.Time) error {
		if v := value(o); v < b.least || v > b.most {
			return optionErrorf(name, "%v is not between %s and %s", v, least, most)
		}
		return nil
	}
}

// doc is the bounds in the documentation.
func (b bounds[T]) doc() string {
	least, most := b.texts()
	return thousands(least) + " to " + thousands(most)
}

// thousands writes a number with commas, and leaves other texts.
func thousands(text string) string {
	if _, err := strconv.ParseUint(text, 10, 64); err != nil || len(text) <= 3 {
		return text
	}
	return thousands(text[:len(text)-3]) + "," + text[len(text)-3:]
}

var (
	delayBounds     = bounds[time.Duration]{most: MaxDelay, leastText: "0", mostText: "10 years"}
	retentionBounds = bounds[time.Duration]{most: MaxRetention, leastText: "0", mostText: "366 days"}
	timeoutBounds   = bounds[time.Duration]{least: time.Millisecond, most: MaxTimeout, leastText: "1 ms", mostText: "7 days"}
	hardBounds      = bounds[time.Duration]{most: MaxTimeout, leastText: "0", mostText: "7 days"}
	retryBounds     = bounds[int]{most: MaxMaxRetries}
	crashBounds     = bounds[int]{least: 1, most: MaxMaxCrashes}
	resultBounds    = bounds[int]{most: MaxResult, mostText: strconv.Itoa(MaxResult) + " bytes"}
)

func all(checks ...optionCheck) optionCheck {
	return func(o *options, now time.Time) error {
		for _, check := range checks {
			if err := check(o, now); err != nil {
				return err
			}
		}
		return nil
	}
}

func checkID(o *options, _ time.Time) error {
	if o.id != "" && !ValidID(o.id) {
		return optionErrorf("id", "want 1 to 128 of the characters A-Z a-z 0-9 . _ : @ -, but not . or .. alone")
	}
	return nil
}

func checkQueue(o *options, _ time.Time) error {
	if !ValidQueue(o.queue) {
		return optionErrorf("queue", "%s is not 1 to 64 letters, digits, '_' or '-', the first a letter or digit", quoted(o.queue))
	}
	return nil
}

func checkETA(o *options, now time.Time) error {
	switch {
	case o.countdown != 0 && !o.eta.IsZero():
		return optionErrorf("eta", "excludes countdown: give one of them")
	case o.eta.After(now.Add(MaxDelay)):
		return optionErrorf("eta", "%s is more than 10 years ahead", o.eta.Format(time.RFC3339))
	}
	return nil
}

func checkExpires(o *options, now time.Time) error {
	if o.expires.After(now.Add(MaxDelay + MaxRetention)) {
		return optionErrorf("expires", "%s is more than 11 years ahead", o.expires.Format(time.RFC3339))
	}
	return nil
}

func checkHardTimeout(o *options, _ time.Time) error {
	if o.hardLimit() <= o.timeout {
		return optionErrorf("hard_timeout", "%v is not longer than the timeout, %v", o.hardTimeout, o.timeout)
	}
	return nil
}

func checkUniqueKey(o *options, _ time.Time) error {
	key := o.extra().uniqueKey
	switch {
	case len(key) > MaxUniqueKey || !utf8.ValidString(key):
		return optionErrorf("unique_key", "want 1 to %d bytes of UTF-8", MaxUniqueKey)
	case key != "" && o.uniqueFor == 0 && o.throttle == 0 && o.debounce == 0:
		return optionErrorf("unique_key", "needs unique_for, unique_until_done, throttle or debounce")
	}
	return nil
}

func checkThrottle(o *options, _ time.Time) error {
	if o.throttle > 0 && o.uniqueFor > 0 {
		return optionErrorf("throttle", "excludes unique_for and unique_until_done: give one of them")
	}
	return nil
}

func checkDebounce(o *options, _ time.Time) error {
	if o.debounce <= 0 {
		return nil
	}
	switch {
	case o.uniqueFor > 0:
		return optionErrorf("debounce", "excludes unique_for and unique_until_done: give one of them")
	case o.throttle > 0:
		return optionErrorf("debounce", "excludes throttle: give one of them")
	case o.countdown != 0:
		return optionErrorf("debounce", "excludes countdown: its window is the delay")
	case !o.eta.IsZero():
		return optionErrorf("debounce", "excludes eta: its window is the delay")
	case o.id != "" && !o.idMade:
		return optionErrorf("debounce", "excludes a chosen id: the task is the first call's")
	case o.durable:
		return optionErrorf("debounce", "does not go with an outbox: what a later call has replaced would come back when Redis has lost its data")
	}
	return nil
}

func checkPriority(o *options, _ time.Time) error {
	if _, ok := priorityNames[o.priority]; !ok {
		return optionErrorf("priority", "%d is not High, Normal or Low", o.priority)
	}
	return nil
}

func checkHistory(o *options, _ time.Time) error {
	if _, ok := historyNames[o.history]; !ok {
		return optionErrorf("history", "%d is not HistoryFull, HistoryMeta or HistoryOff", o.history)
	}
	return nil
}
