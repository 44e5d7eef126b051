package server

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks/counter"
)

// route is one operation of the contract, openapi.yaml. Every path works with a slash behind it too.
type route struct {
	method  string
	path    string
	handler echo.HandlerFunc
	who     access
	aliases []string
	timeout time.Duration // requestTimeout when 0

	unlimited bool // answered from memory, without waiting for a turn

	query    []string // the parameters it takes, beside pretty, which all do
	anyQuery bool     // takes any parameter, as the address of a page does
	body     bool     // whether it takes a body
	rated    rated    // the rate that it counts for
	changes  bool     // a GET with an effect, which has no HEAD
}

func (s *Server) routes() []route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	list := []route{
		{method: get, path: "/v1/banners", handler: CachedList(s.Banners.List()), aliases: []string{"/home/banner"}},
		{method: post, path: "/v1/banners", handler: s.createBanner, who: operators, body: true},
		{method: put, path: "/v1/banners/:id", handler: s.updateBanner, who: operators, body: true},
		{method: del, path: "/v1/banners/:id", handler: s.deleteBanner, who: operators},

		{method: post, path: "/v1/sms", handler: s.sendCode, body: true, rated: ratedPublic},
		{method: get, path: "/user/send_sms", handler: s.refuseCrossSite(s.sendCodeByQuery), query: []string{"mobile"}, rated: ratedPublic, changes: true},
		{method: post, path: "/v1/login", handler: s.login, aliases: []string{"/user/mobile_login"}, body: true, rated: ratedPublic},
		{method: get, path: "/v1/user", handler: s.ownProfile, who: users, aliases: []string{"/v1_0/user"}},
		{method: put, path: "/v1/user", handler: s.updateProfile, who: users, aliases: []string{"/v1_0/user"}, body: true, rated: ratedWrite},
		{method: get, path: "/v1/users/:id", handler: s.userProfile},
		{method: post, path: "/v1/articles", handler: s.createArticle, who: users, aliases: []string{"/articles"}, body: true, rated: ratedWrite},
		{method: get, path: "/v1/articles/:id", handler: s.oneArticle},
		{method: get, path: "/v1/followings", handler: s.listFollowings, who: users, query: []string{"page", "per_page"}},
		{method: post, path: "/v1/followings/:user_id", handler: s.follow, who: users, aliases: []string{"/followings/:user_id"}, rated: ratedWrite},
		{method: del, path: "/v1/followings/:user_id", handler: s.unfollow, who: users, aliases: []string{"/followings/:user_id"}, rated: ratedWrite},

		{method: get, path: "/v1/users/:id/count", handler: s.userCounts},
		{method: get, path: "/v1/rankings/articles", handler: s.ranking(counter.Articles, 10), query: []string{"top"}},
		{method: get, path: "/v1/rankings/followings", handler: s.ranking(counter.Followings, 100), query: []string{"top"}},
		{method: get, path: "/v1/rankings/followers", handler: s.ranking(counter.Followers, 100), query: []string{"top"}},

		{method: get, path: "/v1/goods", handler: s.listGoods},
		{method: get, path: "/v1/goods/:id", handler: s.oneGoods},
		{method: post, path: "/v1/goods", handler: s.createGoods, who: operators, body: true},
		{method: put, path: "/v1/goods/:id", handler: s.updateGoods, who: operators, body: true},
		{method: get, path: "/v1/orders", handler: s.listOrders, who: users},
		{method: post, path: "/v1/seckill", handler: s.enterSeckill, who: users, aliases: []string{"/user/skill"}, body: true, rated: ratedSeckill},
		{method: get, path: "/v1/seckill", handler: s.seckillOutcome, aliases: []string{"/user/skill"}, query: []string{"task_id"}},

		{method: get, path: "/v1/task-types", handler: s.listTaskTypes, who: operators},
		{method: get, path: "/v1/tasks", handler: s.searchTasks, who: operators, query: searchParams},
		{method: post, path: "/v1/tasks", handler: s.createTask, who: operators, body: true},
		{method: post, path: "/v1/tasks/batch", handler: s.createTasks, who: operators, body: true},
		{method: get, path: "/v1/tasks/:id", handler: s.oneTask, who: anyoneOrOperator, timeout: maxWait + requestTimeout, query: []string{"wait"}},
		{method: del, path: "/v1/tasks/:id", handler: s.revokeTask, who: operators, query: []string{"terminate", "reason"}},
		{method: del, path: "/v1/tasks", handler: s.revokeTasks, who: operators, timeout: manyTimeout, query: []string{"tag", "terminate", "reason"}},
		{method: post, path: "/v1/tasks/:id/retry", handler: s.retryTask, who: operators},
		{method: post, path: "/v1/queues/:name/retry", handler: s.retryQueue, who: operators, timeout: manyTimeout},
		{method: get, path: "/v1/queues/:name/dead", handler: s.deadLetters, who: operators, query: []string{"limit", "cursor"}},
		{method: get, path: "/v1/tasks/:id/events", handler: s.taskEvents, who: anyoneOrOperator, timeout: maxStream},
		{method: get, path: "/v1/schedules", handler: s.listSchedules, who: operators},

		{method: get, path: healthPath, handler: s.healthz, unlimited: true},
		{method: get, path: docsPath, handler: s.docs, unlimited: true, anyQuery: true},
		{method: get, path: docsPath + "/*", handler: s.docs, unlimited: true, anyQuery: true},
		{method: get, path: specPath, handler: s.contract, unlimited: true, anyQuery: true},
	}
	if s.Mailbox != nil {
		readers := operators
		if s.MailboxPublic {
			readers = anyone
		}
		list = append(list, route{method: get, path: "/v1/outbox", handler: s.listMailbox, who: readers, query: []string{"mobile"}})
	}
	return list
}
