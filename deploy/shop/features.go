package shop

import (
	"fmt"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/catalog"
)

// openFeatures makes what stands on the caches, once for all parts of the program, and who sends codes.
func (p *program) openFeatures(h *boot.Host) error {
	strategy, err := cache.ParseStrategy(p.settings.BannerStrategy)
	if err != nil {
		return fmt.Errorf("PAIDUI_BANNER_STRATEGY: %w", err)
	}
	p.features = catalog.NewFeatures(catalog.FeatureOptions{
		DB:     h.DB,
		Store:  p.caches.store,
		Client: h.Client,
		Logger: h.Logger,
		Banners: banners.Options{
			BackendURL: p.settings.BackendURL,
			Count:      p.settings.BannerCount,
			Strategy:   strategy,
		},
	})
	return p.openSender(h)
}
