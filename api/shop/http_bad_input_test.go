package shop_test

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/server/servertest"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
)

func TestBadInput(t *testing.T) {
	t.Parallel()
	s := start(t)
	user := bearer(s.login(t, "13800000001").Token)
	goods := s.sell(t, "键盘", 5, -time.Minute, time.Hour)
	require.Eventually(t, func() bool { return s.contents(t)["tasks"] == 1 }, time.Minute, 10*time.Millisecond, "the login's task arrives")
	before := s.contents(t)
	mb := strings.Repeat("x", 1<<20)
	const post, put, get, del = http.MethodPost, http.MethodPut, http.MethodGet, http.MethodDelete
	const soon, late = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
	newGoods := func(field string, value any) map[string]any {
		g := map[string]any{"name": "鼠标", "price": 1, "stock": 1, "starts_at": soon, "ends_at": late}
		if g[field] = value; value == nil {
			delete(g, field)
		}
		return g
	}
	tests := []struct {
		method, path string
		body         any
		who          with
		status       int
		field        string
	}{
		// numbers
		{post, "/v1/sms", `{"mobile":"1381234567a"}`, nil, 400, "mobile"},
		{post, "/v1/sms", `{"mobile":"1381234567"}`, nil, 400, "mobile"},
		{post, "/v1/sms", `{"mobile":"138123456789"}`, nil, 400, "mobile"},
		{post, "/v1/sms", `{"mobile":"１３８１２３４５６７８"}`, nil, 400, "mobile"},
		{post, "/v1/sms", `{"mobile":"+8613812345678"}`, nil, 400, "mobile"},
		{post, "/v1/sms", `{"mobile":"12812345678"}`, nil, 400, "mobile"},
		{post, "/v1/sms", `{"mobile":"13812345678\n"}`, nil, 400, "mobile"},
		{post, "/v1/sms", `{"mobile":" 13812345678"}`, nil, 400, "mobile"},
		{post, "/v1/sms", `{"mobile":13812345678}`, nil, 400, "mobile"},
		{post, "/v1/sms", `{"mobile":null}`, nil, 400, "mobile"},
		{post, "/v1/sms", `{}`, nil, 400, "mobile"},
		{get, "/user/send_sms?mobile=%2B8613812345678", nil, nil, 400, "mobile"},
		{get, "/user/send_sms", nil, nil, 400, "mobile"},
		{get, "/v1/outbox?mobile=1", nil, nil, 400, "mobile"},
		{post, "/v1/login", `{"mobile":"13812345678"}`, nil, 400, "code"},
		{post, "/v1/login", `{"mobile":"13812345678","code":123456}`, nil, 400, "code"},
		{post, "/v1/login", `{"mobile":"13812345678","code":"12345６"}`, nil, 400, "code"},
		{post, "/v1/login", `{"mobile":"13812345678","code":"12345678901234567"}`, nil, 400, "code"},

		// bodies
		{post, "/v1/sms", ``, nil, 400, ""},
		{post, "/v1/sms", `null`, nil, 400, ""},
		{post, "/v1/sms", `[]`, nil, 400, ""},
		{post, "/v1/sms", `"13812345678"`, nil, 400, ""},
		{post, "/v1/sms", `{"mobile":"13812345678"`, nil, 400, ""},
		{post, "/v1/sms", `{"mobile":"13812345678"} {}`, nil, 400, ""},
		{post, "/v1/sms", `{"mobile":"13812345678",}`, nil, 400, ""},
		{post, "/v1/sms", `{"mobile":"13812345678","colour":"red"}`, nil, 400, "colour"},
		{post, "/v1/sms", `{"Mobile":"13812345678"}`, nil, 400, "Mobile"},
		{post, "/v1/sms", `{"mobile":"13812345678","mobile":"13812345679"}`, nil, 400, "mobile"},
		{post, "/v1/sms", "{\"mobile\":\"\xff\xfe\"}", nil, 400, ""},
		{post, "/v1/sms", `{"mobile":"` + mb + `"}`, nil, 413, ""},

		// seckill
		{post, "/v1/seckill", fmt.Sprintf(`{"goods_id":%d}`, goods), nil, 401, ""},
		{post, "/user/skill", fmt.Sprintf(`{"goods_id":%d}`, goods), bearer("forged"), 401, ""},
		{post, "/v1/seckill", `{"goods_id":999}`, user, 404, "goods_id"},
		{post, "/v1/seckill", fmt.Sprintf(`{"goods_id":%d}`, int64(math.MaxInt64)), user, 404, "goods_id"},
		{post, "/v1/seckill", `{"goods_id":-1}`, user, 400, "goods_id"},
		{post, "/v1/seckill", `{"goods_id":0}`, user, 400, "goods_id"},
		{post, "/v1/seckill", `{"goods_id":99999999999999999999}`, user, 400, "goods_id"},
		{post, "/v1/seckill", `{"goods_id":1.5}`, user, 400, "goods_id"},
		{post, "/v1/seckill", `{"goods_id":"1"}`, user, 400, "goods_id"},
		{post, "/v1/seckill", `{"name":"没有"}`, user, 404, "name"},
		{post, "/v1/seckill", `{"name":""}`, user, 400, "name"},
		{post, "/v1/seckill", `{"name":"键盘","goods_id":1}`, user, 400, "name"},
		{post, "/v1/seckill", `{}`, user, 400, "goods_id"},
		{get, "/v1/seckill", nil, nil, 400, "task_id"},
		{get, "/v1/seckill?task_id=a/b", nil, nil, 400, "task_id"},
		{get, "/v1/seckill?task_id=" + strings.Repeat("a", 129), nil, nil, 400, "task_id"},
		{get, "/v1/seckill?task_id=seckill_01980d5c-7a4e-7bd2-9f0e-6a4c1e0b7a11", nil, nil, 404, ""},
		{get, "/user/skill/?task_id=nobody", nil, nil, 404, ""},

		// ids and arguments of tasks
		{get, "/v1/seckill?task_id=..", nil, nil, 400, "task_id"},
		{post, "/v1/tasks", `{"task":"seckill.order","args":{"user_id":-1,"goods_id":1}}`, asOperator, 400, "args.user_id"},

		// rows
		{get, "/v1/goods/abc", nil, nil, 400, "id"},
		{get, "/v1/goods/-1", nil, nil, 400, "id"},
		{get, "/v1/goods/0", nil, nil, 400, "id"},
		{get, "/v1/goods/99999999999999999999", nil, nil, 400, "id"},
		{get, "/v1/goods/1;drop%20table%20goods", nil, nil, 400, "id"},
		{get, "/v1/users/1e3", nil, nil, 400, "id"},
		{get, "/v1/users/0", nil, nil, 400, "id"},
		{get, "/v1/users/-1", nil, nil, 400, "id"},
		{get, "/v1/users/9223372036854775808", nil, nil, 400, "id"},
		{get, "/v1/users/9223372036854775807", nil, nil, 404, "id"},
		{get, "/v1/users/999999", nil, nil, 404, "id"},
		{get, "/v1/articles/0", nil, nil, 400, "id"},
		{get, "/v1/articles/-1", nil, nil, 400, "id"},
		{get, "/v1/articles/abc", nil, nil, 400, "id"},
		{get, "/v1/articles/9223372036854775808", nil, nil, 400, "id"},
		{get, "/v1/articles/9223372036854775807", nil, nil, 404, "id"},
		{get, "/v1/articles/999999", nil, nil, 404, "id"},
		{post, "/v1/articles", `{"title":"a","content":"x"}`, nil, 401, ""},
		{post, "/v1/articles", `{"title":"a","content":"x"}`, asOperator, 401, ""},
		{post, "/articles", `{"title":"a"}`, user, 400, "content"},
		{post, "/v1/articles", `{"title":"a","content":""}`, user, 400, "content"},
		{post, "/v1/articles", `{"title":"a","content":null}`, user, 400, "content"},
		{post, "/v1/articles", `{"title":"a","content":["x"]}`, user, 400, "content"},
		{post, "/v1/articles", `{"title":"a","content":"` + strings.Repeat("长", 20_001) + `"}`, user, 400, "content"},
		{post, "/v1/articles", `{"title":"a","content":"` + strings.Repeat("😀", 20_001) + `"}`, user, 400, "content"},
		{post, "/v1/articles", `{"title":"a","content":"nul \u0000"}`, user, 400, "content"},
		{post, "/v1/articles", `{"title":"a","content":"escape \u001b[2J"}`, user, 400, "content"},
		{post, "/v1/articles", `{"content":"x"}`, user, 400, "title"},
		{post, "/v1/articles", `{"title":"","content":"x"}`, user, 400, "title"},
		{post, "/v1/articles", `{"title":"  ","content":"x"}`, user, 400, "title"},
		{post, "/v1/articles", `{"title":"a\nb","content":"x"}`, user, 400, "title"},
		{post, "/v1/articles", `{"title":"a\u0000b","content":"x"}`, user, 400, "title"},
		{post, "/v1/articles", `{"title":"` + strings.Repeat("长", 129) + `","content":"x"}`, user, 400, "title"},
		{post, "/v1/articles", `{"title":"a","content":"x","user_id":2}`, user, 400, "user_id"},
		{post, "/v1/articles", `{"title":"a","content":"` + mb + `"}`, user, 413, ""},
		{post, "/v1/tasks", `{"task":"refresh.all","args":{}}`, asOperator, 400, "args.cache"},
		{post, "/v1/tasks", `{"task":"refresh.all","args":{"cache":"users","batch":5001}}`, asOperator, 400, "args.batch"},
		{post, "/v1/tasks", `{"task":"refresh.changed","args":{"changes":[]}}`, asOperator, 400, "args.changes"},
		{post, "/v1/tasks", `{"task":"refresh.changed","args":{"changes":[{"cache":"users","id":""}]}}`, asOperator, 400, "args.changes.0.id"},
		{post, "/v1/goods", newGoods("name", nil), asOperator, 400, "name"},
		{post, "/v1/goods", newGoods("name", "  "), asOperator, 400, "name"},
		{post, "/v1/goods", newGoods("name", strings.Repeat("长", 129)), asOperator, 400, "name"},
		{post, "/v1/goods", newGoods("price", -1), asOperator, 400, "price"},
		{post, "/v1/goods", newGoods("price", 99.5), asOperator, 400, "price"},
		{post, "/v1/goods", newGoods("price", nil), asOperator, 400, "price"},
		{post, "/v1/goods", newGoods("stock", -1), asOperator, 400, "stock"},
		{post, "/v1/goods", newGoods("stock", 1e10), asOperator, 400, "stock"},
		{post, "/v1/goods", newGoods("stock", nil), asOperator, 400, "stock"},
		{post, "/v1/goods", newGoods("starts_at", late), asOperator, 400, "ends_at"},
		{post, "/v1/goods", newGoods("starts_at", "0001-01-01T00:00:00Z"), asOperator, 400, "starts_at"},
		{post, "/v1/goods", newGoods("starts_at", nil), asOperator, 400, "starts_at"},
		{post, "/v1/goods", newGoods("ends_at", "2026-01-02"), asOperator, 400, "ends_at"},
		{post, "/v1/goods", newGoods("ends_at", nil), asOperator, 400, "ends_at"},
		{post, "/v1/goods", newGoods("id", 7), asOperator, 400, "id"},
		{put, fmt.Sprint("/v1/goods/", goods), `{}`, asOperator, 400, ""},
		{put, fmt.Sprint("/v1/goods/", goods), `{"stock":-5}`, asOperator, 400, "stock"},
		{put, "/v1/goods/x", `{"stock":5}`, asOperator, 400, "id"},
		{post, "/v1/banners", `{"image":"/1.svg"}`, asOperator, 400, "title"},
		{post, "/v1/banners", `{"title":"x"}`, asOperator, 400, "image"},
		{post, "/v1/banners", `{"title":"x","image":"javascript:alert(1)"}`, asOperator, 400, "image"},
		{post, "/v1/banners", `{"title":"x","image":"//evil.example.com/1.svg"}`, asOperator, 400, "image"},
		{post, "/v1/banners", `{"title":"x","image":"/1.svg","link":"javascript:alert(1)"}`, asOperator, 400, "link"},
		{post, "/v1/banners", `{"title":"x\u0000","image":"/1.svg"}`, asOperator, 400, "title"},
		{post, "/v1/banners", `{"title":"x","image":"/1.svg","orders":99999999999}`, asOperator, 400, "orders"},
		{post, "/v1/banners", `{"title":"x","image":"/1.svg","is_show":"yes"}`, asOperator, 400, "is_show"},
		{put, "/v1/banners/7", `{}`, asOperator, 400, ""},
		{del, "/v1/banners/x", nil, asOperator, 400, "id"},
		{put, "/v1/user", `{}`, user, 400, ""},
		{put, "/v1/user", `{"name":""}`, user, 400, "name"},
		{put, "/v1/user", `{"mobile":"13812345678"}`, user, 400, "mobile"},
		{put, "/v1/user", `{"photo":"data:text/html,x"}`, user, 400, "photo"},
		{put, "/v1/user", `{"intro":"nul \u0000"}`, user, 400, "intro"},
		{put, "/v1/user", `{"intro":"` + strings.Repeat("长", 256) + `"}`, user, 400, "intro"},
		{put, "/v1/user", `{"name":"\u200b"}`, user, 400, "name"},
		{put, "/v1/user", `{"name":"admin\u200b"}`, user, 400, "name"},
		{put, "/v1/user", `{"name":"\u202enimda"}`, user, 400, "name"},
		{put, "/v1/user", `{"photo":"/a\u202eb"}`, user, 400, "photo"},
		{post, "/v1/articles", `{"title":"\u2066a\u2069","content":"x"}`, user, 400, "title"},
		{post, "/v1/goods", newGoods("name", "键\u00ad盘"), asOperator, 400, "name"},
		{post, "/v1/banners", `{"title":"\u3164","image":"/1.svg"}`, asOperator, 400, "title"},

		// routes
		{get, "/v1/nothing", nil, nil, 404, ""},
		{get, "/v2/goods", nil, nil, 404, ""},
		{post, "/nothing", `{}`, nil, 404, ""},
		{del, "/v1/goods", nil, nil, 405, ""},
		{"BREW", "/v1/goods", nil, nil, 405, ""},
	}
	for _, test := range tests {
		name := fmt.Sprintf("%s %.60s %.60s", test.method, test.path, servertest.Encode(t, test.body))
		t.Run(name, func(t *testing.T) {
			var more []with
			if test.who != nil {
				more = append(more, test.who)
			}
			c := s.On(t)
			a := c.Do(test.method, test.path, test.body, more...)
			require.Equal(t, []any{test.status, test.field}, []any{a.Code, a.Field}, "%s", a.Raw)
			require.Regexp(t, `\p{Han}`, a.Msg)
			a = c.Do(test.method, test.path, test.body, append(more, inEnglish)...)
			require.Equal(t, []any{test.status, test.field}, []any{a.Code, a.Field}, "%s", a.Raw)
			require.NotEmpty(t, a.Msg)
			require.NotRegexp(t, `[Gg]o (type|value|struct)|json:|cannot unmarshal|\*server`, a.Msg)
		})
	}
	require.Equal(t, before, s.contents(t), "bad input changes nothing")
}

// contents counts what the API could have written.
func (s *system) contents(t *testing.T) map[string]int64 {
	t.Helper()
	counts := map[string]int64{}
	for _, model := range append(shop.All(), models.All()...) {
		if _, audit := model.(*models.AuditRecord); audit {
			continue // which has what was refused, too
		}
		var n int64
		require.NoError(t, s.db.Model(model).Count(&n).Error)
		counts[fmt.Sprintf("%T", model)] = n
	}
	var g shop.Goods
	require.NoError(t, s.db.Take(&g).Error)
	counts["stock"] = g.Stock
	cached, err := s.cache.Keys(t.Context(), "send_sms_code_*").Result()
	require.NoError(t, err)
	counts["codes"] = int64(len(cached))
	queued, err := s.broker.Redis().Keys(t.Context(), "asynq:{*}:t:*").Result()
	require.NoError(t, err)
	counts["tasks"] = int64(len(queued))
	return counts
}

func TestTheLargestBody(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	const limit = 64 << 10
	padded := func(size int) string {
		object := `{"mobile":"13812345678"}`
		return object + strings.Repeat(" ", size-len(object))
	}
	require.Equal(t, 413, s.Post("/v1/sms", padded(limit+1)).Code)
	a := s.Post("/v1/sms", padded(limit))
	require.Equal(t, 100, a.Code, "%s", a.Raw)
}

func TestContentTypes(t *testing.T) {
	t.Parallel()
	s := start(t)
	for given, status := range map[string]int{
		"application/json":                  400,
		"application/json; charset=utf-8":   400,
		"Application/JSON;charset=UTF-8":    400,
		"application/json; charset=gbk":     415,
		"application/x-www-form-urlencoded": 415,
		"text/plain":                        415,
		"application/json/x":                415,
		"":                                  415,
	} {
		a := s.Post("/v1/sms", `{"mobile":"1"}`, header("Content-Type", given))
		require.Equal(t, status, a.Code, given)
	}
}
