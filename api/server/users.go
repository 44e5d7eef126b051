package server

import (
	"errors"

	"github.com/labstack/echo/v4"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
)

// profile is a user as he sees himself; others see it without Mobile.
type profile struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Mobile string `json:"mobile,omitempty"`
	Photo  string `json:"photo"`
	Intro  string `json:"intro"`
	Certi  string `json:"certi"`
}

func newProfile(u models.User) profile {
	return profile{ID: u.ID, Name: u.Name, Mobile: u.Mobile, Photo: u.Photo, Intro: u.Intro, Certi: u.Certi}
}

// profileBody is what users may change of themselves. A field that is absent stays as it is.
type profileBody struct {
	Name  *string `json:"name" validate:"omitnil,max=32,line"`
	Photo *string `json:"photo" validate:"omitnil,max=255,anywebpath"`
	Intro *string `json:"intro" validate:"omitnil,max=255"`
}

var (
	msgNoUser   = text{"没有这个用户", "there is no such user"}
	msgUserGone = text{"用户不存在，请重新登录", "the user is gone, log in again"}
)

func (s *Server) ownProfile(c echo.Context) error {
	var user models.User
	if err := s.db(c.Request().Context()).Take(&user, userOf(c)).Error; err != nil {
		return unlessUser(err)
	}
	return ok(c, newProfile(user))
}

func (s *Server) updateProfile(c echo.Context) error {
	b, err := body[profileBody](s, c)
	if err != nil {
		return err
	}
	if b == (profileBody{}) {
		return nothingToChange()
	}
	var user models.User
	err = s.db(c.Request().Context()).Transaction(func(tx *gorm.DB) error {
		if err := tx.Clauses(forUpdate).Take(&user, userOf(c)).Error; err != nil {
			return err
		}
		set(&user.Name, b.Name)
		set(&user.Photo, b.Photo)
		set(&user.Intro, b.Intro)
		return tx.Save(&user).Error
	})
	if err != nil {
		return unlessUser(err)
	}
	return ok(c, newProfile(user))
}

func unlessUser(err error) error {
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return unauthorized(msgUserGone, err)
	}
	return err
}

func (s *Server) userProfile(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	var user models.User
	if err := s.db(c.Request().Context()).Take(&user, id).Error; err != nil {
		return unless(err, msgNoUser)
	}
	user.Mobile = ""
	return ok(c, newProfile(user))
}
