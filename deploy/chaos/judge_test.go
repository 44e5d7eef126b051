package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/articles"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/profiles"
	"github.com/paidui/paidui/tasks/sms"
)

var begun = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(seconds int) time.Time { return begun.Add(time.Duration(seconds) * time.Second) }

// sound is a book and evidence in which all fits.
func sound() (*book, *evidence) {
	b := newBook()
	b.sales = []sale{{GoodsID: 1, Stock: 3}}
	b.tickets = []ticket{
		{TaskID: "seckill_1", UserID: 1, GoodsID: 1, At: at(1), Told: []outcome{{At: at(2), Status: 200, Code: 103}, {At: at(3), Status: 200, Code: 100, OrderNo: "no1"}}},
		{TaskID: "seckill_2", UserID: 2, GoodsID: 1, At: at(1), Told: []outcome{{At: at(2), Status: 200, Code: 101, Reason: "sold_out"}}},
	}
	b.texts = []text{{TaskID: "sms_1", Mobile: "137", At: at(1)}}
	b.logins = []login{{UserID: 1, Mobile: "138", At: at(1)}}
	b.writes = []write{
		{Kind: "profile", Key: "1.name", Value: "old", Verdict: accepted, Begun: at(1), Ended: at(1)},
		{Kind: "profile", Key: "1.name", Value: "new", Verdict: accepted, Begun: at(100), Ended: at(100)},
		{Kind: "following", Key: "1>2", Value: "follow", Verdict: accepted, Begun: at(1), Ended: at(1)},
		{Kind: "following", Key: "2>1", Value: "follow", Verdict: accepted, Begun: at(1), Ended: at(1)},
		{Kind: "following", Key: "2>1", Value: "unfollow", Verdict: accepted, Begun: at(90), Ended: at(90)},
		{Kind: "banner", Key: "1", Value: bannerValue("one", true), Verdict: accepted, Begun: at(1), Ended: at(1)},
		{Kind: "banner", Key: "2", Value: deletedBanner, Verdict: accepted, Begun: at(1), Ended: at(1)},
		{Kind: "article", Key: "title", Value: "1", Verdict: accepted, Begun: at(1), Ended: at(1)},
		{Kind: "article", Key: "lost", Value: "1", Verdict: unknown, Begun: at(1), Ended: at(1)},
	}
	b.calls = []call{
		{ID: "plain", Variant: "plain", Ends: []string{stateSuccess}, Want: "3", Verdict: accepted, At: at(1), Told: []state{{At: at(2), State: "PENDING"}, {At: at(3), State: stateSuccess, Result: "3"}}},
		{ID: "eta", Variant: "eta", Ends: []string{stateSuccess}, Want: "3", Verdict: accepted, At: at(1)},
		{ID: "durable", Variant: "durable", Ends: []string{stateSuccess}, Want: "3", Durable: true, Verdict: accepted, At: at(1)},
		{ID: "revoke", Variant: "revoke", Ends: []string{stateSuccess, stateRevoked}, Want: "3", Verdict: accepted, Revoked: accepted, At: at(1)},
		{ID: "failing", Variant: "failing", Ends: []string{stateFailure}, Verdict: accepted, At: at(1)},
		{ID: "failing-failed", Variant: "failing-failed", Ends: []string{stateSuccess}, Want: "1", Parent: "failing", Verdict: accepted, At: at(1)},
		{ID: "nobody-knows", Variant: "chosen", Ends: []string{stateSuccess}, Want: "3", Verdict: unknown, At: at(1)},
	}
	users := []shop.User{{ID: 1, Mobile: "138", Name: "new"}, {ID: 2, Mobile: "139", Name: "two"}}
	article := shop.Article{ID: 1, UserID: 1, Title: "title", Content: "text", UpdatedAt: at(1)}
	banner := shop.Banner{ID: 1, Title: "one", IsShow: true}
	following := shop.Following{UserID: 1, TargetID: 2, CreatedAt: at(1)}
	success := func(id, result string) task {
		return task{ID: id, State: stateSuccess, Result: json.RawMessage(result), Attempts: []attempt{{Number: 1, Outcome: "success", StartedAt: at(3), EndedAt: at(3)}}}
	}
	due := success("eta", "3")
	eta := at(2)
	due.ETA = &eta
	e := &evidence{
		Act: actStorm, Begun: begun, Healed: at(10),
		Goods:      map[int64]shop.Goods{1: {ID: 1, Stock: 2}},
		Orders:     []shop.Order{{OrderNo: "no1", UserID: 1, GoodsID: 1, TaskID: "seckill_1"}},
		Users:      users,
		Banners:    []shop.Banner{banner, {ID: 2, Title: "two", IsShow: true, IsDelete: true}, {ID: 3, Title: "hidden"}},
		Articles:   []shop.Article{article},
		Followings: []shop.Following{following},
		Texts:      []shop.SMSMessage{{TaskID: "sms_1", Mobile: "137", Code: "123456"}},
		Outbox:     []models.OutboxRow{{TaskID: "sent", CreatedAt: at(1), SentAt: &eta}},
		Records:    map[string]string{"plain": stateSuccess},
		Admitted:   map[int64][]string{1: {"1"}},
		Pending:    map[int64]int{1: 0},
		Cached:     map[string]string{},
		Tasks: map[string]task{
			"plain": success("plain", "3"), "eta": due, "durable": success("durable", "3"),
			"revoke": {ID: "revoke", State: stateRevoked}, "failing": {ID: "failing", State: stateFailure, Retries: failingRetries},
			"failing-failed": success("failing-failed", "1"),
			"sms_1":          {ID: "sms_1", State: stateSuccess},
		},
		Tickets: map[string]outcome{"seckill_1": {Status: 200, Code: 100, OrderNo: "no1"}, "seckill_2": {Status: 200, Code: 101}},
	}
	for i := range 11 {
		e.Ticks = append(e.Ticks, fmt.Sprintf("%s@%d-aa", tickAll, at(i).Unix()))
		if at(i).Unix()%durableEvery == 0 {
			e.Records[durableTick(at(i))] = stateSuccess
		}
	}
	cached := func(key string, value any) {
		text, err := json.Marshal(value)
		if err != nil {
			panic(err)
		}
		e.Cached[key] = string(text)
	}
	shown := []banners.Banner{{ID: 1, Title: "one"}}
	published := articles.Article{ID: 1, UserID: 1, Title: "title", Content: "text", UpdatedAt: at(1)}
	cached(banners.Key, shown)
	cached(profiles.Key(1), profileOf(users[0]))
	cached(articles.Key(1), published)
	v := view{
		API: "api0", Banners: shown,
		Profiles:   map[int64]profiles.Public{1: profileOf(users[0]).Public(), 2: profileOf(users[1]).Public()},
		Articles:   map[int64]articles.Article{1: published},
		Counts:     map[int64]counts{1: {Articles: 1, Followings: 1}, 2: {Followers: 1}},
		Followings: map[int64]map[int64]time.Time{1: {2: at(1)}, 2: {}},
		Totals:     map[int64]int{1: 1, 2: 0},
		Rankings:   map[string][]ranked{},
	}
	for _, name := range rankings {
		v.Rankings[name] = rank(countRows(e), name)
	}
	e.Views = []view{v}
	return b, e
}

func TestTheJudgeFindsNothingWhereAllFits(t *testing.T) {
	t.Parallel()
	require.Empty(t, judge(sound()))
}

func edit[T any](list []T, i int, f func(*T)) { f(&list[i]) }

func editTask(e *evidence, id string, f func(*task)) {
	now := e.Tasks[id]
	f(&now)
	e.Tasks[id] = now
}

// TestEveryRuleFindsWhatBreaksIt changes one thing that all fits with, and expects the finding.
func TestEveryRuleFindsWhatBreaksIt(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for i, tc := range []struct {
		rule, says string
		broken     func(b *book, e *evidence)
	}{
		{"stock and orders make the stock at the start", "a stock of 1", func(_ *book, e *evidence) { e.Goods[1] = shop.Goods{ID: 1, Stock: 1} }},
		{"stock and orders make the stock at the start", "2 orders", func(_ *book, e *evidence) {
			e.Orders = append(e.Orders, shop.Order{OrderNo: "no2", UserID: 2, GoodsID: 1, TaskID: "x"})
		}},
		{"one order a user and goods", "no1 and no2", func(_ *book, e *evidence) {
			e.Orders = append(e.Orders, shop.Order{OrderNo: "no2", UserID: 1, GoodsID: 1, TaskID: "x"})
		}},
		{"a ticket has one final answer, which is true", "code 103", func(_ *book, e *evidence) { e.Tickets["seckill_1"] = outcome{Status: 200, Code: 103} }},
		{"a ticket has one final answer, which is true", "status 404", func(_ *book, e *evidence) { e.Tickets["seckill_1"] = outcome{Status: http.StatusNotFound, Code: 404} }},
		{"a ticket has one final answer, which is true", "there is no order", func(_ *book, e *evidence) { e.Tickets["seckill_1"] = outcome{Status: 200, Code: 101} }},
		{"a ticket has one final answer, which is true", "which the user has not", func(_ *book, e *evidence) {
			e.Tickets["seckill_2"] = outcome{Status: 200, Code: 100, OrderNo: "no1"}
		}},
		{"nobody was told what is not so of a ticket", "there is no order (failed)", func(b *book, _ *evidence) {
			edit(b.tickets, 0, func(k *ticket) { k.Told[0] = outcome{Status: 200, Code: 101, Reason: "failed"} })
		}},
		{"nobody was told what is not so of a ticket", "not found", func(b *book, _ *evidence) {
			edit(b.tickets, 0, func(k *ticket) { k.Told[0] = outcome{Status: 404, Code: 404} })
		}},
		{"nobody was told what is not so of a ticket", "no9", func(b *book, _ *evidence) {
			edit(b.tickets, 0, func(k *ticket) { k.Told[1].OrderNo = "no9" })
		}},
		{"Redis and MySQL agree on who is in a sale", "1 reservations", func(_ *book, e *evidence) { e.Pending[1] = 1 }},
		{"Redis and MySQL agree on who is in a sale", "let in 1, 2", func(_ *book, e *evidence) { e.Admitted[1] = []string{"1", "2"} }},
		{"a code that was accepted was sent", "message false", func(_ *book, e *evidence) { e.Texts = nil }},
		{"a code that was accepted was sent", "refused", func(_ *book, e *evidence) { e.Texts[0].Error = "refused" }},
		{"a code that was accepted was sent", "FAILURE", func(_ *book, e *evidence) {
			e.Texts = nil
			editTask(e, "sms_1", func(k *task) { k.State, k.Attempts = stateFailure, []attempt{{EndedAt: at(60)}} })
		}},
		{"who has logged in is a user", "137", func(b *book, _ *evidence) { b.logins[0].Mobile = "137" }},
		{"an accepted task ends as it should", "is not there", func(_ *book, e *evidence) { delete(e.Tasks, "plain") }},
		{"an accepted task ends as it should", "is not there", func(_ *book, e *evidence) { delete(e.Tasks, "failing-failed") }},
		{"an accepted task ends as it should", "should end in", func(_ *book, e *evidence) { editTask(e, "plain", func(k *task) { k.State = "STARTED" }) }},
		{"an accepted task ends as it should", "should end in", func(_ *book, e *evidence) { editTask(e, "plain", func(k *task) { k.State = "LOST" }) }},
		{"an accepted task ends as it should", "the result 3", func(_ *book, e *evidence) {
			editTask(e, "eta", func(k *task) { k.Result = json.RawMessage("4") })
		}},
		{"an accepted task ends as it should", "more than once", func(_ *book, e *evidence) {
			editTask(e, "eta", func(k *task) { k.Attempts = append(k.Attempts, k.Attempts[0]) })
		}},
		{"an accepted task ends as it should", "was revoked, and is", func(_ *book, e *evidence) {
			editTask(e, "revoke", func(k *task) { k.State, k.Result = stateSuccess, json.RawMessage("3") })
		}},
		{"an accepted task ends as it should", "was not revoked", func(b *book, _ *evidence) { edit(b.calls, 3, func(k *call) { k.Revoked = "" }) }},
		{"an accepted task ends as it should", "retries", func(_ *book, e *evidence) { editTask(e, "failing", func(k *task) { k.Retries = 1 }) }},
		{"nobody was told what is not so of a task", "told at", func(b *book, _ *evidence) {
			edit(b.calls, 0, func(k *call) { k.Told[1].State = stateFailure })
		}},
		{"nobody was told what is not so of a task", "result 5", func(b *book, _ *evidence) {
			edit(b.calls, 0, func(k *call) { k.Told[1].Result = "5" })
		}},
		{"a task does not begin before its time", "began at", func(_ *book, e *evidence) {
			editTask(e, "eta", func(k *task) { k.Attempts[0].StartedAt = at(1) })
		}},
		{"the history says what became of tasks", "STARTED in the history", func(_ *book, e *evidence) { e.Records["plain"] = "STARTED" }},
		{"what was written last is there", `"old"`, func(_ *book, e *evidence) {
			e.Users[0].Name = "old"
		}},
		{"what was written last is there", "following 1>2", func(_ *book, e *evidence) { e.Followings = nil }},
		{"what was written last is there", "following 2>1", func(_ *book, e *evidence) {
			e.Followings = append(e.Followings, shop.Following{UserID: 2, TargetID: 1, CreatedAt: at(1)})
		}},
		{"what was written last is there", "banner 1", func(_ *book, e *evidence) { e.Banners[0].Title = "two" }},
		{"what was written last is there", "banner 2", func(_ *book, e *evidence) { e.Banners[1].IsDelete = false }},
		{"what is written once is there once", "0 times", func(_ *book, e *evidence) { e.Articles = nil }},
		{"what is written once is there once", "2 times", func(_ *book, e *evidence) { e.Articles = append(e.Articles, e.Articles[0]) }},
		{"what is written once is there once", "by 2", func(_ *book, e *evidence) { e.Articles[0].UserID = 2 }},
		{"what is written once is there once", "refused", func(b *book, _ *evidence) { b.writes[7].Verdict = refused }},
		{"a cached value equals the database's", banners.Key, func(_ *book, e *evidence) { e.Cached[banners.Key] = "[]" }},
		{"a cached value equals the database's", banners.Key, func(_ *book, e *evidence) { e.Cached[banners.Key] = "-1" }},
		{"a cached value equals the database's", profiles.Key(1), func(_ *book, e *evidence) { e.Cached[profiles.Key(1)] = "-1" }},
		{"a cached value equals the database's", profiles.Key(2), func(_ *book, e *evidence) { e.Cached[profiles.Key(2)] = e.Cached[profiles.Key(1)] }},
		{"a cached value equals the database's", articles.Key(1), func(_ *book, e *evidence) { e.Cached[articles.Key(1)] = "{" }},
		{"an API answers what the database has", "the banners are", func(_ *book, e *evidence) { e.Views[0].Banners = nil }},
		{"an API answers what the database has", "user 1", func(_ *book, e *evidence) { e.Views[0].Profiles[1] = profiles.Public{ID: 1, Name: "old"} }},
		{"an API answers what the database has", "article 1", func(_ *book, e *evidence) { e.Views[0].Articles[1] = articles.Article{} }},
		{"followings are the database's", "user 1 follows map[]", func(_ *book, e *evidence) { e.Views[0].Followings[1] = map[int64]time.Time{} }},
		{"followings are the database's", "follows 3 users", func(_ *book, e *evidence) { e.Views[0].Totals[2] = 3 }},
		{"followings are the database's", "user 1", func(_ *book, e *evidence) { e.Views[0].Followings[1][2] = at(7) }},
		{"counts and rankings are the database's", "the counts of user 1", func(_ *book, e *evidence) { e.Views[0].Counts[1] = counts{} }},
		{"counts and rankings are the database's", "ranking by articles", func(_ *book, e *evidence) { e.Views[0].Rankings["articles"] = nil }},
		{"no tick is missing, and none is there twice", "is missing", func(_ *book, e *evidence) { e.Ticks = append(e.Ticks[:4:4], e.Ticks[5:]...) }},
		{"no tick is missing, and none is there twice", "2 times", func(_ *book, e *evidence) {
			e.Ticks = append(e.Ticks, "tick-skip@"+strconv.FormatInt(at(4).Unix(), 10)+"-a", "tick-skip@"+strconv.FormatInt(at(4).Unix(), 10)+"-b")
		}},
		{"no tick is missing, and none is there twice", "tick-durable", func(_ *book, e *evidence) {
			delete(e.Records, durableTick(at(4)))
			delete(e.Records, durableTick(at(5)))
		}},
		{"no tick is missing, and none is there twice", "2 times", func(_ *book, e *evidence) {
			for id := range maps.Clone(e.Records) {
				if name, _ := parseTick(id); name == tickDurable {
					e.Records[id+"b"] = stateSuccess
				}
			}
		}},
		{"no tick is missing, and none is there twice", "LOST", func(_ *book, e *evidence) { e.Records[durableTick(at(4))] = "LOST" }},
		{"every task is in one list", "is in no list", func(_ *book, e *evidence) { e.Strays = []string{"task x is in no list"} }},
		{"what has committed is sent", "was not sent", func(_ *book, e *evidence) { e.Outbox[0].SentAt = nil }},
		{"what has committed is sent", "given up", func(_ *book, e *evidence) { e.Outbox[0].FailedAt = e.Outbox[0].SentAt }},
		{"nothing waits for ever", "task x", func(_ *book, e *evidence) { e.Restless = []string{"task x"} }},
		{"no program breaks", "panic", func(_ *book, e *evidence) { e.Trouble = []string{"api0: panic: x"} }},
		{"no internal errors", "500", func(b *book, _ *evidence) { b.odd = []oddity{{At: at(1), What: "GET /: 500"}} }},
	} {
		b, e := sound()
		tc.broken(b, e)
		all := judge(b, e)
		var texts []string
		for _, f := range all {
			if f.Rule == tc.rule {
				texts = append(texts, f.What)
			}
		}
		require.NotEmpty(t, texts, "case %d: %s: only %v", i, tc.rule, all)
		require.Contains(t, texts[0], tc.says, "case %d", i)
		found[tc.rule] = true
	}
	for _, r := range rules() {
		require.True(t, found[r.name], "no case breaks the rule %q", r.name)
	}
}

func durableTick(due time.Time) string { return fmt.Sprintf("%s@%d-aa", tickDurable, due.Unix()) }

// TestTheJudgeKnowsWhatMayBe changes what is still within the promises.
func TestTheJudgeKnowsWhatMayBe(t *testing.T) {
	t.Parallel()
	wiped := func(e *evidence) { e.Wipes = []span{{at(4), at(5)}} }
	for name, change := range map[string]func(b *book, e *evidence){
		"a write whose answer was lost after the last": func(b *book, e *evidence) {
			b.writes = append(b.writes, write{Kind: "banner", Key: "1", Value: deletedBanner, Verdict: unknown, Begun: at(101), Ended: at(101)})
			e.Banners[0].IsDelete, e.Cached, e.Views[0].Banners = true, nil, nil
		},
		"an article whose answer was lost": func(_ *book, e *evidence) { e.Articles[0].Title = "lost"; e.Views, e.Cached = nil, nil },
		"a code that came too late": func(_ *book, e *evidence) {
			e.Texts = nil
			editTask(e, "sms_1", func(k *task) { k.State, k.Attempts = stateFailure, []attempt{{EndedAt: at(1).Add(sms.CodeTTL)}} })
		},
		"a task that went with Redis's data": func(_ *book, e *evidence) {
			wiped(e)
			delete(e.Tasks, "plain")
			editTask(e, "eta", func(k *task) { k.State = "LOST" })
		},
		"a ticket that went with Redis's data": func(_ *book, e *evidence) {
			wiped(e)
			e.Tickets["seckill_2"] = outcome{Status: http.StatusNotFound, Code: 404}
		},
		"a durable tick that only a log has": func(_ *book, e *evidence) {
			for i := range 11 {
				delete(e.Records, durableTick(at(i)))
				e.Ran = append(e.Ran, durableTick(at(i)))
			}
		},
		"ticks that went with Redis's data":      func(_ *book, e *evidence) { wiped(e); e.Ticks = e.Ticks[6:] },
		"a sale that nobody asked for since":     func(_ *book, e *evidence) { wiped(e); e.Admitted[1] = nil },
		"what is not cached":                     func(_ *book, e *evidence) { e.Cached = nil },
		"a task of which nobody knows whether":   func(_ *book, e *evidence) { e.Tasks["nobody-knows"] = e.Tasks["plain"] },
		"a row of the outbox that is being sent": func(_ *book, e *evidence) { e.Outbox[0].SentAt, e.Outbox[0].CreatedAt = nil, at(11) },
	} {
		b, e := sound()
		change(b, e)
		if name == "an article whose answer was lost" {
			b.writes = append(b.writes[:7:7], b.writes[8:]...)
		}
		require.Empty(t, judge(b, e), name)
	}

	b, e := sound()
	wiped(e)
	delete(e.Tasks, "durable")
	require.Len(t, judge(b, e), 1, "a durable task does not go with Redis's data")
}

func TestStrays(t *testing.T) {
	t.Parallel()
	q := queues{
		where: map[string][]string{
			"waits": {"pending"}, "runs": {"active"}, "held": {"active"}, "twice": {"pending", "retry"}, "empty": {"pending"},
		},
		leased: map[string]bool{"runs": true, "left": true, "twice": false},
		stored: map[string]bool{"waits": true, "runs": true, "held": true, "twice": true, "alone": true, "left": true},
	}
	found := q.strays()
	require.Equal(t, map[string]string{
		"held": "is active without a lease", "twice": "is in the lists [pending retry]",
		"empty": "is in the lists [pending] and has no message", "alone": "is in no list", "left": "has a lease and is not active",
	}, found)
	require.Equal(t, []string{"empty", "held", "runs", "twice", "waits"}, q.openIDs())
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	for line, bad := range map[string]bool{
		"WARNING: DATA RACE":                       true,
		"panic: runtime error: index out of range": true,
		"fatal error: all goroutines are asleep":   true,
		`{"level":"ERROR","error":"runtime error: invalid memory address or nil pointer dereference"}`: true,
		`{"level":"WARN","msg":"Redis does not answer"}`:                                               false,
	} {
		require.Equal(t, bad, trouble.MatchString(line), line)
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	for want, a := range map[verdict]answer{
		accepted: {status: 200, Code: 100},
		declined: {status: 200, Code: 101},
		refused:  {status: 429, Code: 429},
		unknown:  {status: 503, Code: 503},
	} {
		require.Equal(t, want, a.verdict())
	}
	_, err := http.Get("http://127.0.0.1:1/")
	require.Equal(t, refused, answer{err: err}.verdict(), "there was no connection")
	require.Equal(t, unknown, answer{err: http.ErrHandlerTimeout}.verdict())
}
