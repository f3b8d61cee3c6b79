package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// runBareProxy is the verb rp: what net/http/httputil gives without asking.
func runBareProxy(ctx context.Context, o options) error {
	to, err := url.Parse(o.upstream)
	if err != nil {
		return err
	}
	return serveProxy(ctx, o.listen, bareProxy(to))
}

func bareProxy(to *url.URL) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{Rewrite: rewrite(to), ErrorLog: quiet}
}

// runTunedProxy is the verb rpbuf, the reference: a buffer pool, enough idle
// connections, no compression.
func runTunedProxy(ctx context.Context, o options) error {
	to, err := url.Parse(o.upstream)
	if err != nil {
		return err
	}
	return serveProxy(ctx, o.listen, tunedProxy(to))
}

func tunedProxy(to *url.URL) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:    rewrite(to),
		ErrorLog:   quiet,
		BufferPool: &bufferPool{},
		Transport: &http.Transport{
			MaxIdleConns:        0,
			MaxIdleConnsPerHost: 4096,
			IdleConnTimeout:     5 * time.Minute,
			DisableCompression:  true,
		},
	}
}

// quiet drops what the proxies log about streams that they cut: the client counts them.
var quiet = log.New(io.Discard, "", 0)

func rewrite(to *url.URL) func(*httputil.ProxyRequest) {
	return func(r *httputil.ProxyRequest) { r.SetURL(to) }
}

// bufferPool is an httputil.BufferPool of the size that ReverseProxy itself uses.
type bufferPool struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (p *bufferPool) Get() []byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 32<<10)
}

// Put implements httputil.BufferPool.
func (p *bufferPool) Put(b []byte) { p.pool.Put(&b) }

// serveProxy prints its address and serves until the context ends.
func serveProxy(ctx context.Context, listen string, p *httputil.ReverseProxy) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: p, ReadHeaderTimeout: 30 * time.Second, ErrorLog: quiet}
	fmt.Println(l.Addr())
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
