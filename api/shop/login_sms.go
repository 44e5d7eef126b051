package server

import (
	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks/sms"
)

type smsBody struct {
	Mobile string `json:"mobile" validate:"required,mobile"`
}

// sendCode has a code sent to a mobile number.
func (s *Server) sendCode(c echo.Context) error {
	b, err := body[smsBody](s, c)
	if err != nil {
		return err
	}
	return s.requestCode(c, b.Mobile)
}

func (s *Server) sendCodeByQuery(c echo.Context) error {
	return s.requestCode(c, c.QueryParam("mobile"))
}

func (s *Server) requestCode(c echo.Context, mobile string) error {
	if !sms.ValidMobile(mobile) {
		return badRequest("mobile", msgMobile)
	}
	id, err := s.Codes.Request(c.Request().Context(), mobile, c.RealIP())
	if err != nil {
		return err
	}
	return answer(c, codeOK, text{"短信已在发送", "the code is on its way"}, nil, id)
}
