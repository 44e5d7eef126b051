package shop

import (
	"net/http"
	"time"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/tasks/counter"
)

// maxArticle is the largest body with an article, in bytes: a character may be written as two escapes of six bytes.
const maxArticle = 256 << 10

// routes are the operations of the shop's part of the contract, openapi.yaml.
func (a *API) routes() []server.Route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	const operators, users = server.Operators, server.Users
	var (
		public = &server.Rate{} // logins and codes asked for count for the address alone
		writes = &server.Rate{PerUser: a.WritesPerUser, Burst: 10 * time.Second}
		orders = &server.Rate{PerUser: a.SeckillPerUser, Burst: 2 * time.Second}
	)
	list := []server.Route{
		{Method: get, Path: "/v1/banners", Handler: server.CachedList(a.Banners.List()), Aliases: []string{"/home/banner"}},
		{Method: post, Path: "/v1/banners", Handler: a.createBanner, Who: operators, Body: true},
		{Method: put, Path: "/v1/banners/:id", Handler: a.updateBanner, Who: operators, Body: true},
		{Method: del, Path: "/v1/banners/:id", Handler: a.deleteBanner, Who: operators},

		{Method: post, Path: "/v1/sms", Handler: a.sendCode, Body: true, Rate: public},
		{Method: get, Path: "/user/send_sms", Handler: a.sendCodeByQuery, Query: []string{"mobile"}, Rate: public, NoHead: true},
		{Method: post, Path: "/v1/login", Handler: a.login, Aliases: []string{"/user/mobile_login"}, Body: true, Rate: public},
		{Method: get, Path: "/v1/user", Handler: a.ownProfile, Who: users, Aliases: []string{"/v1_0/user"}},
		{Method: put, Path: "/v1/user", Handler: a.updateProfile, Who: users, Aliases: []string{"/v1_0/user"}, Body: true, Rate: writes},
		{Method: get, Path: "/v1/users/:id", Handler: a.userProfile},
		{Method: post, Path: "/v1/articles", Handler: a.createArticle, Who: users, Aliases: []string{"/articles"}, Body: true, MaxBody: maxArticle, Rate: writes},
		{Method: get, Path: "/v1/articles/:id", Handler: a.oneArticle},
		{Method: get, Path: "/v1/followings", Handler: a.listFollowings, Who: users, Query: []string{"page", "per_page"}},
		{Method: post, Path: "/v1/followings/:user_id", Handler: a.follow, Who: users, Aliases: []string{"/followings/:user_id"}, Rate: writes},
		{Method: del, Path: "/v1/followings/:user_id", Handler: a.unfollow, Who: users, Aliases: []string{"/followings/:user_id"}, Rate: writes},

		{Method: get, Path: "/v1/users/:id/count", Handler: a.userCounts},
		{Method: get, Path: "/v1/rankings/articles", Handler: a.ranking(counter.Articles, 10), Query: []string{"top"}},
		{Method: get, Path: "/v1/rankings/followings", Handler: a.ranking(counter.Followings, 100), Query: []string{"top"}},
		{Method: get, Path: "/v1/rankings/followers", Handler: a.ranking(counter.Followers, 100), Query: []string{"top"}},

		{Method: get, Path: "/v1/goods", Handler: a.listGoods},
		{Method: get, Path: "/v1/goods/:id", Handler: a.oneGoods},
		{Method: post, Path: "/v1/goods", Handler: a.createGoods, Who: operators, Body: true},
		{Method: put, Path: "/v1/goods/:id", Handler: a.updateGoods, Who: operators, Body: true},
		{Method: get, Path: "/v1/orders", Handler: a.listOrders, Who: users},
		{Method: post, Path: "/v1/seckill", Handler: a.enterSeckill, Who: users, Aliases: []string{"/user/skill"}, Body: true, Rate: orders},
		{Method: get, Path: "/v1/seckill", Handler: a.seckillOutcome, Aliases: []string{"/user/skill"}, Query: []string{"task_id"}},
	}
	if a.Mailbox != nil {
		readers := operators
		if a.MailboxPublic {
			readers = server.Anyone
		}
		list = append(list, server.Route{Method: get, Path: "/v1/outbox", Handler: a.listMailbox, Who: readers, Query: []string{"mobile"}})
	}
	return list
}
