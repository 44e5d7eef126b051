package shop

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/tasks/sms"
)

var msgCrossSite = server.Textf(
	"其他网站的页面不能用 GET 发送短信，请使用 POST /v1/sms",
	"pages of other sites may not send codes by GET: use POST /v1/sms",
)

type smsBody struct {
	Mobile string `json:"mobile" validate:"required,mobile"`
}

// sendCode has a code sent to a mobile number.
func (a *API) sendCode(c echo.Context) error {
	b, err := server.Body[smsBody](c)
	if err != nil {
		return err
	}
	return a.requestCode(c, b.Mobile)
}

func (a *API) sendCodeByQuery(c echo.Context) error {
	if server.CrossSite(c) {
		return &server.Failure{Status: http.StatusForbidden, Msg: msgCrossSite}
	}
	return a.requestCode(c, c.QueryParam("mobile"))
}

func (a *API) requestCode(c echo.Context, mobile string) error {
	if !sms.ValidMobile(mobile) {
		return server.BadRequest("mobile", msgMobile)
	}
	id, err := a.Codes.Request(c.Request().Context(), mobile, c.RealIP())
	if err != nil {
		return err
	}
	return server.Answer{Msg: server.Textf("短信已在发送", "the code is on its way"), TaskID: id}.Send(c)
}
