// Command signup is a web service that had its router, its users and its database before it had a queue. Who signs up is
// welcomed by a task that commits with the row: it runs if, and only if, the user is there. The task API is shown below /queue/.
package main

import (
	"context"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ln, err := net.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	s, err := open(ctx, os.Getenv("REDIS_URL"), "sqlite://signup.db")
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("http://%s: POST /signup?email=…; GET /queue/v1/tasks with the header Authorization: Bearer %s", ln.Addr(), adminKey)
	if err := s.run(ctx, ln); err != nil {
		log.Fatal(err)
	}
}

// handler is the service's router.
func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /signup", s.signUp)
	mux.Handle("/queue/", http.StripPrefix("/queue", s.tasks.Handler()))
	return mux
}
