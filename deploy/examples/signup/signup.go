package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/outbox"
)

// User is a row of the service's own table.
type User struct {
	ID       int64
	Email    string `gorm:"size:128;uniqueIndex"`
	Welcomed bool
}

// Welcome welcomes a user.
var Welcome = tasks.Define[WelcomeArgs, string]("user.welcome", tasks.SnoozeFor(tasks.StoreAway()), tasks.Timeout(30*time.Second))

// WelcomeArgs are the arguments of Welcome.
type WelcomeArgs struct {
	UserID int64 `json:"user_id"`
}

// welcome is Welcome's handler. However often it runs, the user is welcomed once.
func (s *service) welcome(ctx context.Context, a WelcomeArgs) (string, error) {
	var user User
	err := s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		first, err := outbox.Once(ctx, tx)
		if err != nil || !first {
			return err
		}
		slog.InfoContext(ctx, "a mail would be sent here", "user", a.UserID)
		return tx.Model(&User{ID: a.UserID}).Update("welcomed", true).Error
	})
	if err == nil {
		err = s.db.WithContext(ctx).First(&user, a.UserID).Error
	}
	return "welcome, " + user.Email, err
}

// signUp makes a user and the task, both or neither.
func (s *service) signUp(w http.ResponseWriter, r *http.Request) {
	email := r.FormValue("email")
	if !strings.Contains(email, "@") || len(email) > 128 {
		http.Error(w, "email: an address of at most 128 characters, please", http.StatusBadRequest)
		return
	}
	var id string
	err := s.db.WithContext(r.Context()).Transaction(func(tx *gorm.DB) error {
		user := User{Email: email}
		if err := tx.Create(&user).Error; err != nil {
			return err
		}
		made, err := Welcome.EnqueueTx(r.Context(), outbox.Tx(tx), WelcomeArgs{UserID: user.ID})
		if err == nil {
			id = made.ID()
		}
		return err
	})
	if err != nil {
		slog.ErrorContext(r.Context(), "sign-up failed", "error", err)
		http.Error(w, "there is this user already, or the database is away", http.StatusConflict)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintln(w, id)
}
