// Package web is the page of Paidui: static files, embedded as they are, without a build step.
//
// The page asks nothing of any host but its own, and its content security policy says so. Pictures are the one
// exception: a banner that an operator keeps elsewhere may come over https.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

// Files holds the page: index.html at its root, the pictures of goods and banners below media.
//
//go:embed index.html favicon.svg app.js style.css js vendor media
var Files embed.FS

const (
	pagePolicy = "default-src 'self'; img-src 'self' https:; object-src 'none'; base-uri 'none'; " +
		"form-action 'self'; frame-ancestors 'none'"
	// A picture that is opened by itself is a document: it may style itself and do nothing else.
	mediaPolicy = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"

	// The page's files refer to each other by name, so a browser asks each time and mostly hears 304.
	pageCache  = "no-cache"
	mediaCache = "public, max-age=3600"

	gzipFrom = 1 << 10 // bytes below which compressing gains nothing
)

// Handler serves the page: the index at "/", every other file of [Files] at its path, media included. Paths are
// the request's own: do not strip a prefix. Only GET and HEAD are answered; a path that is no file gets 404.
func Handler() http.Handler { return load() }

// assets maps a request's path to its file. It is not written after load, so requests share it.
type assets map[string]*asset

type asset struct {
	mime    string
	cache   string
	policy  string
	plain   variant
	gzipped *variant // nil when it would not be smaller
}

type variant struct {
	body []byte
	etag string
}

func load() assets {
	all := assets{}
	err := fs.WalkDir(Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := Files.ReadFile(name)
		if err != nil {
			return err
		}
		if name == "index.html" {
			all["/"] = newAsset(name, body)
			return nil
		}
		all["/"+name] = newAsset(name, body)
		return nil
	})
	if err != nil {
		panic(fmt.Sprintf("web: reading embedded files: %v", err)) // they are compiled in: cannot fail
	}
	return all
}

func newAsset(name string, body []byte) *asset {
	a := &asset{mime: typeOf(name), cache: pageCache, policy: pagePolicy}
	if strings.HasPrefix(name, "media/") {
		a.cache, a.policy = mediaCache, mediaPolicy
	}
	sum := sha256.Sum256(body)
	tag := base64.RawURLEncoding.EncodeToString(sum[:12])
	a.plain = variant{body: body, etag: `"` + tag + `"`}
	if packed := pack(body); packed != nil {
		a.gzipped = &variant{body: packed, etag: `"` + tag + `-gz"`}
	}
	return a
}

// typeOf does not leave it to the machine's mime table, which may not know modules or SVG.
func typeOf(name string) string {
	switch ext := path.Ext(name); ext {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case "":
		return "text/plain; charset=utf-8"
	default:
		return mime.TypeByExtension(ext)
	}
}

// pack compresses body, or returns nil when that saves less than a tenth.
func pack(body []byte) []byte {
	if len(body) < gzipFrom {
		return nil
	}
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := w.Write(body); err != nil {
		return nil
	}
	if err := w.Close(); err != nil || out.Len() > len(body)*9/10 {
		return nil
	}
	return out.Bytes()
}

func (all assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "same-origin")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	a, ok := all[r.URL.Path]
	if !ok {
		head.Set("Content-Security-Policy", pagePolicy)
		http.Error(w, "404 page not found", http.StatusNotFound)
		return
	}
	head.Set("Content-Security-Policy", a.policy)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		head.Set("Allow", "GET, HEAD")
		http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
		return
	}
	v := &a.plain
	if a.gzipped != nil {
		head.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Get("Accept-Encoding")) {
			v = a.gzipped
			head.Set("Content-Encoding", "gzip")
		}
	}
	head.Set("Content-Type", a.mime)
	head.Set("Cache-Control", a.cache)
	head.Set("ETag", v.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(v.body))
}

// acceptsGzip says whether an Accept-Encoding header (RFC 9110, 12.5.3) names gzip, and not with a weight of 0.
func acceptsGzip(header string) bool {
	for offer := range strings.SplitSeq(header, ",") {
		coding, params, weighted := strings.Cut(offer, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		q := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(params)), "q=")
		return !weighted || strings.Trim(q, "0.") != ""
	}
	return false
}
