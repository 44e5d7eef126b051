package following

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// list is one user's list in Redis. All its keys share a cluster slot.
type list int64

func (l list) key() string { return "user:" + strconv.FormatInt(int64(l), 10) + suffix }

const (
	suffix  = ":following"
	private = "paidui:cache:{"
)

func (l list) own(name string) string { return private + l.key() + "}:" + name }

func (l list) state() string             { return l.own("state") }
func (l list) lease() string             { return l.own("lease") }
func (l list) fresh(token string) string { return l.own("new:" + token) }
func (l list) entry(target int64) string { return l.own("entry:" + strconv.FormatInt(target, 10)) }

// keys are those that every script gets, and more.
func (l list) keys(more ...string) []string {
	return append([]string{l.key(), l.state(), l.lease()}, more...)
}

// keyPattern matches what parseKey reads, and some keys beside.
const keyPattern = "*user:*" + suffix + "*"

// parseKey tells whose list a key belongs to, and whether it is the list or its state. Other keys give false.
func parseKey(key string) (l list, isList, ok bool) {
	name, isState := strings.CutPrefix(key, private)
	if isState {
		if name, isState = strings.CutSuffix(name, "}:state"); !isState {
			return 0, false, false
		}
	}
	text, ok := strings.CutPrefix(name, "user:")
	if !ok {
		return 0, false, false
	}
	if text, ok = strings.CutSuffix(text, suffix); !ok {
		return 0, false, false
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 || strconv.FormatInt(id, 10) != text {
		return 0, false, false
	}
	return list(id), !isState, true
}

// Entry is one user who is followed, and since when.
type Entry struct {
	Target int64
	At     time.Time // in microseconds, UTC
}

func (e Entry) member() string { return strconv.FormatInt(e.Target, 10) }

// score is the time in seconds with microseconds as fraction. A float64 tells microseconds apart until the year 2242.
func (e Entry) score() string {
	micros := e.At.UnixMicro()
	sign := ""
	if micros < 0 {
		sign, micros = "-", -micros
	}
	return fmt.Sprintf("%s%d.%06d", sign, micros/1e6, micros%1e6)
}

// before tells whether e comes before other in a list: the newer first and, of the same time, the greater text.
func (e Entry) before(other Entry) bool {
	if c := e.At.Compare(other.At); c != 0 {
		return c > 0
	}
	return e.member() > other.member()
}

// parseEntry reads what Redis holds of an entry.
func parseEntry(member, score string) (Entry, error) {
	target, err := strconv.ParseInt(member, 10, 64)
	if err != nil || target <= 0 || strconv.FormatInt(target, 10) != member {
		return Entry{}, fmt.Errorf("member %q is no user's id", member)
	}
	at, err := parseScore(score)
	return Entry{target, at}, err
}

func parseScore(score string) (time.Time, error) {
	f, err := strconv.ParseFloat(score, 64)
	if err != nil || math.IsNaN(f) || math.Abs(f) >= 1<<33 {
		return time.Time{}, fmt.Errorf("score %q is no time", score)
	}
	seconds := math.Floor(f)
	return time.UnixMicro(int64(seconds)*1e6 + int64(math.Round((f-seconds)*1e6))).UTC(), nil
}

// changeID is the text of a cache.Change.
func changeID(user, target int64) string {
	return strconv.FormatInt(user, 10) + ":" + strconv.FormatInt(target, 10)
}

func parseChange(id string) (user, target int64, err error) {
	first, second, _ := strings.Cut(id, ":")
	user, err1 := strconv.ParseInt(first, 10, 64)
	target, err2 := strconv.ParseInt(second, 10, 64)
	if err1 != nil || err2 != nil || user <= 0 || target <= 0 {
		return 0, 0, errors.New("want <user>:<target>")
	}
	return user, target, nil
}
