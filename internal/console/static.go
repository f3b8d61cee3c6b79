package console

import (
	"embed"
	"net/http"
)

// files are the pages that need no credential: the one that makes the first
// administrator from a one-time link.
//
//go:embed static
var files embed.FS

func (c *Console) static(mux *http.ServeMux) {
	for path, name := range map[string]string{
		"GET /setup": "setup.html", "GET /setup.js": "setup.js", "GET /setup.css": "setup.css",
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "static/"+name) })
	}
}
