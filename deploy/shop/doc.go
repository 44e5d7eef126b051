// Package shop is the application that comes with Paidui: SMS codes, flash sales, and caches of a shop's tables, as one
// boot.App. What another application has to write is what is here: read app.go first.
//
// settings.go has the shop's own settings, caches.go opens its second Redis, features.go makes what stands on that, api.go
// adds the shop to the HTTP API, sms.go says who sends codes, and welcome.go what local prints.
package shop
