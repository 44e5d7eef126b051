package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paidui/paidui/api/web"
)

const (
	keyboard = 1 // on sale; won after two looks
	earbuds  = 2 // on sale; lost: the stock went meanwhile
	tea      = 3 // not open yet
	flask    = 4 // over
	watch    = 5 // on sale, few left; refused at the door
	console  = 6 // on sale; never leaves the queue until release
	speaker  = 7 // sold out
)

const smsCode = "482913"

// shop plays the HTTP contract to the page, without a queue behind it.
type shop struct {
	*httptest.Server
	t testing.TB

	mu       sync.Mutex
	token    string // the one that is valid
	logins   int
	looks    map[string]int // polls of a task
	posts    map[int64]int  // POST /v1/seckill of a goods
	orders   []map[string]any
	limited  bool // the next POST /v1/sms gets 429
	void     bool // no code is right
	mute     int  // polls still answered with 503
	released bool
	banners  []map[string]any
}

func newShop(t testing.TB) *shop {
	s := &shop{t: t, looks: map[string]int{}, posts: map[int64]int{}}
	for i, title := range []string{"限时秒杀 · 手慢无", "旗舰手机 · 新机首发", "有序排队 · 一单不丢", "准点开抢 · 每晚八点"} {
		s.banners = append(s.banners, map[string]any{
			"id": i + 1, "title": title, "link": "/#goods", "orders": i + 1,
			// The server's own name for itself, which need not be the one that the browser used.
			"image": fmt.Sprintf("http://shop.example/media/banner-%d.svg", i+1),
		})
	}
	mux := http.NewServeMux()
	mux.Handle("/", web.Handler())
	mux.HandleFunc("GET /v1/banners", func(w http.ResponseWriter, _ *http.Request) { answer(w, 100, "成功", s.banners, "") })
	mux.HandleFunc("GET /v1/goods", s.goods)
	mux.HandleFunc("POST /v1/sms", s.sms)
	mux.HandleFunc("GET /v1/tasks/{id}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, 100, "成功", map[string]any{"id": r.PathValue("id"), "state": "SUCCESS"}, "")
	})
	mux.HandleFunc("GET /v1/outbox", func(w http.ResponseWriter, r *http.Request) {
		answer(w, 100, "成功", []any{map[string]any{"mobile": r.FormValue("mobile"), "code": smsCode, "sent_at": time.Now()}}, "")
	})
	mux.HandleFunc("POST /v1/login", s.login)
	mux.HandleFunc("GET /v1/orders", s.user(func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		answer(w, 100, "成功", s.orders, "")
	}))
	mux.HandleFunc("POST /v1/seckill", s.user(s.enter))
	mux.HandleFunc("GET /v1/seckill", s.outcome)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func answer(w http.ResponseWriter, code int, msg string, data any, extra string) {
	body := map[string]any{"code": code, "msg": msg, "data": data}
	if name, value, ok := strings.Cut(extra, "="); ok {
		body[name] = value
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if code >= 400 {
		w.WriteHeader(code)
	}
	_ = json.NewEncoder(w).Encode(body)
}

func (s *shop) goods(w http.ResponseWriter, _ *http.Request) {
	now := time.Now()
	row := func(id int, name string, price, stock int, from, to time.Duration) map[string]any {
		return map[string]any{"id": id, "name": name, "price": price, "stock": stock,
			"starts_at": now.Add(from).Format(time.RFC3339), "ends_at": now.Add(to).Format(time.RFC3339)}
	}
	const hour = time.Hour
	answer(w, 100, "成功", []any{
		row(flask, "保温杯 500 毫升", 5900, 12, -8*24*hour, -24*hour),
		row(keyboard, "机械键盘 87 键 青轴", 19900, 50, -hour, 3*hour+25*time.Minute),
		row(earbuds, "降噪蓝牙耳机", 39950, 100, -2*hour, 30*24*hour),
		row(speaker, "桌面音箱", 12900, 0, -2*hour, 5*hour),
		row(tea, "明前龙井 250 克", 16800, 200, 2*hour+13*time.Second, 48*hour),
		row(watch, "运动手表", 129900, 3, -hour, 40*time.Minute),
		row(console, "掌上游戏机", 199900, 20, -hour, 2*hour),
	}, "")
}

func (s *shop) sms(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limited {
		s.limited = false
		w.Header().Set("Retry-After", "42")
		answer(w, 429, "发送太频繁，请稍后再试", nil, "field=mobile")
		return
	}
	answer(w, 100, "短信已在发送", nil, "task_id=sms_0190")
}

func (s *shop) login(w http.ResponseWriter, r *http.Request) {
	var in struct{ Mobile, Code string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.Code != smsCode || s.void {
		answer(w, 400, "验证码不对", nil, "field=code")
		return
	}
	s.logins++
	s.token = fmt.Sprintf("token-%d", s.logins)
	answer(w, 100, "成功", map[string]any{"token": s.token, "user": map[string]any{"id": 7, "name": "用户0000", "mobile": in.Mobile}}, "")
}

func (s *shop) user(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		valid := s.token != "" && r.Header.Get("Authorization") == "Bearer "+s.token
		s.mu.Unlock()
		if !valid {
			answer(w, 401, "请先登录", nil, "")
			return
		}
		next(w, r)
	}
}

func (s *shop) enter(w http.ResponseWriter, r *http.Request) {
	var in struct {
		GoodsID int64 `json:"goods_id"`
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	s.posts[in.GoodsID]++
	s.mu.Unlock()
	if in.GoodsID == watch {
		answer(w, 101, "秒杀失败：已经抢光了", nil, "")
		return
	}
	answer(w, 100, "您正在排队", nil, fmt.Sprintf("task_id=seckill_%d", in.GoodsID))
}

func (s *shop) outcome(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.FormValue("task_id")
	goods, err := strconv.Atoi(strings.TrimPrefix(id, "seckill_"))
	if err != nil {
		answer(w, 404, "没有这个任务", nil, "field=task_id")
		return
	}
	s.looks[id]++
	switch {
	case s.mute > 0:
		s.mute--
		answer(w, 503, "服务暂时不可用", nil, "")
	case goods == console && !s.released, s.looks[id] == 1:
		answer(w, 103, "还在排队", nil, "")
	case s.looks[id] == 2:
		answer(w, 102, "没成功", nil, "")
	case goods == earbuds:
		answer(w, 101, "秒杀失败：库存不足", map[string]any{"reason": "库存不足", "reason_code": "sold_out"}, "")
	default:
		order := map[string]any{"order_no": fmt.Sprintf("P2025112000%02d", goods), "goods_id": goods, "task_id": id, "created_at": time.Now().Format(time.RFC3339)}
		if len(s.orders) == 0 || s.orders[0]["task_id"] != id {
			s.orders = append([]map[string]any{order}, s.orders...)
		}
		answer(w, 100, "秒杀成功", order, "")
	}
}

// change runs f while no request is in a handler.
func (s *shop) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *shop) entered(goods int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.posts[goods]
}

func (s *shop) looked(goods int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.looks[fmt.Sprintf("seckill_%d", goods)]
}
