package shop_test

import (
	"testing"

	"github.com/paidui/paidui/api/web/webtest"
)

func TestRoutesAndContractAgree(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	s.RequireRoutes(s.api.Routes(), "GET /user/send_sms")
}

// TestDocsInABrowser: the policy of the page lets all pass that Swagger UI needs.
func TestDocsInABrowser(t *testing.T) {
	s := startEmbedded(t)
	tab := webtest.NewTab(t, webtest.Browser(t), webtest.View{})
	tab.Open(s.Base + "/docs")
	tab.Await("the operations", `document.querySelectorAll('.opblock').length > 40`)
	tab.Click("#operations-Schedules-listSchedules .opblock-summary")
	tab.Await("one of them", `document.querySelector('#operations-Schedules-listSchedules .responses-wrapper') !== null`)
	tab.Clean(s.Base)
}
