package shop

import (
	"fmt"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/api/shop"
	"github.com/paidui/paidui/api/web"
	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/tasks/seckill"
	"github.com/paidui/paidui/tasks/sms"
)

// api is what the shop adds to the API: its routes and its page.
func (p *program) api(d boot.Deps) (server.Application, error) {
	s := p.settings
	codes := sms.NewCodes(p.caches.primary, d.Client, sms.Limits{
		PerMinute:    s.SMSPerMinute,
		PerDay:       s.SMSPerDay,
		PerAddress:   s.SMSPerAddress,
		PerMinuteAll: s.SMSPerMinuteAll,
		Location:     d.Config.Location(),
	})
	if err := d.Registry.Register(codes); err != nil {
		return server.Application{}, fmt.Errorf("register the metrics of codes: %w", err)
	}
	application, err := shop.New(shop.Options{
		Codes:          codes,
		Sales:          seckill.NewSales(d.DB, d.Redis, d.Client),
		Banners:        p.features.Banners,
		Profiles:       p.features.Profiles,
		Articles:       p.features.Articles,
		Counters:       p.features.Counters,
		Followings:     p.features.Followings,
		JWTSecret:      s.JWTSecret.Reveal(),
		JWTPrevious:    s.JWTSecretPrevious.Reveal(),
		JWTLifetime:    s.JWTLifetime,
		Mailbox:        p.mailbox,
		MailboxPublic:  s.OutboxPublic,
		WritesPerUser:  s.WritesPerUser,
		SeckillPerUser: s.SeckillPerUser,
		Logger:         d.Logger,
	})
	application.Web = web.Handler()
	return application, err
}
