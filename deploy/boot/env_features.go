package boot

import (
	"fmt"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/catalog"
)

// openFeatures makes what stands on the caches, once for all parts of the program.
func (e *Env) openFeatures() error {
	strategy, err := cache.ParseStrategy(e.Config.BannerStrategy)
	if err != nil {
		return fmt.Errorf("PAIDUI_BANNER_STRATEGY: %w", err)
	}
	e.features = catalog.NewFeatures(catalog.FeatureOptions{
		DB:     e.Stores.DB,
		Store:  e.Caches,
		Client: e.Client,
		Logger: e.Logger,
		Banners: banners.Options{
			BackendURL: e.Config.BackendURL,
			Count:      e.Config.BannerCount,
			Strategy:   strategy,
		},
	})
	return nil
}
