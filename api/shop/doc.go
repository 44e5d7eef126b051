// Package shop is the HTTP API of the shop that comes with Paidui: login codes and logins, users with their articles, followings
// and rankings, banners, goods and the flash sale (秒杀). It is an application on package server, which has all that is not
// the shop's own.
//
// Begin with routes.go, which lists every route, and with New in shop.go, which makes the application of it. The contract is
// openapi.yaml, the shop's part of what the program serves.
//
// # The files, by their beginning
//
//   - login.go and login_: codes (login_sms.go), logins, the tokens that users are recognised by (login_tokens.go), and the
//     development's view of what was sent (login_mailbox.go).
//   - user_: what belongs to a user: profile, articles, followings, rankings.
//   - sale_ and banners.go: goods, the flash sale with its refusals, orders, and the home page's banners.
//   - errors.go: what clients get for the errors of the packages below.
//   - http_ are tests alone: of the whole API, with the shop on it.
//
// # One request's way
//
// Package server does all up to the handler: see its documentation. In between it asks API.identify who the user is, by the
// token in the request. The handler calls a package under tasks/, and answers with server.OK and the like; explain turns what
// it returns as an error into an answer. There is no SQL and no Redis command here, and no goroutine.
package shop
