package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"sallyport/internal/config"
)

// serve listens on a TCP address and serves a handler until it is stopped.
func (a *App) serve(name, addr string, files *config.TLS, behind []netip.Prefix, h http.Handler) (net.Addr, error) {
	if !loopback(addr) {
		if files == nil && len(behind) == 0 {
			return nil, fmt.Errorf("%s listener on %s: beyond loopback it needs tls, or behind_proxy when a proxy in front of it does TLS", name, addr)
		}
		if !a.auth.HasAdmin() {
			return nil, fmt.Errorf("%s listener on %s: beyond loopback an administrator must exist first; run: sallyport admin new --name NAME --role admin --data %s", name, addr, a.config.Data)
		}
	}
	l, err := net.Listen(family(addr), addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s listener: another program listens on %s; end it, or choose another address with --listen and --admin-listen", name, addr)
	}
	if err != nil {
		return nil, fmt.Errorf("%s listener: %w", name, err)
	}
	bound := l.Addr()
	if files != nil {
		source := &certificates{files: *files, log: a.log}
		if _, err := source.config(nil); err != nil {
			l.Close()
			return nil, fmt.Errorf("%s listener: %w", name, err)
		}
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: source.config, NextProtos: []string{"h2", "http/1.1"}})
	}
	a.serveOn(name, l, h)
	return bound, nil
}

// family is the network to listen on. Under "tcp" net takes 0.0.0.0 to mean every
// IPv6 address as well.
func family(addr string) string {
	if a, err := netip.ParseAddrPort(addr); err == nil && a.Addr().Is4() {
		return "tcp4"
	}
	return "tcp"
}

// serveOn serves a handler on a listener until it is stopped.
func (a *App) serveOn(name string, l net.Listener, h http.Handler) {
	s := &http.Server{
		Handler:           a.bounded(h),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		WriteTimeout:      a.parts.Load().longest,
		MaxHeaderBytes:    int(a.config.Limits.Header),
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
		// It reads a body before anybody is asked who they are.
		DisableGeneralOptionsHandler: true,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.fail(fmt.Errorf("%s listener: %w", name, err))
		}
	}()
	a.atStop(name+" listener", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, finishTime)
		defer cancel()
		err := s.Shutdown(ctx)
		if err != nil {
			err = errors.Join(err, s.Close())
		}
		<-done
		return err
	})
}

// bounded gives a client as long to send its body as the configuration in force
// allows, whether a handler reads it or leaves it to net/http, which reads on
// before it answers. The limit ends with the body: later it would cut the request.
func (a *App) bounded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			b := &boundedBody{r.Body, http.NewResponseController(w)}
			_ = b.control.SetReadDeadline(time.Now().Add(time.Duration(a.parts.Load().config.Timeouts.Body)))
			r.Body = b
		}
		h.ServeHTTP(w, r)
	})
}

// boundedBody is a request body under a deadline that ends with it.
type boundedBody struct {
	io.ReadCloser
	control *http.ResponseController
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// patient gives each request as long to be answered as the configuration in force
// allows, which a reload may have changed since the server was made.
func (a *App) patient(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(a.parts.Load().longest)) // else the server's holds
		h.ServeHTTP(w, r)
	})
}

// certifiedNames are the names that the certificate of a listener is for.
func certifiedNames(files *config.TLS) []string {
	if files == nil {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil || pair.Leaf == nil {
		return nil // the listener reports it
	}
	return slices.Clone(pair.Leaf.DNSNames)
}

// certificates serves what TLS files hold, and reads them again when they change.
type certificates struct {
	files config.TLS
	log   *slog.Logger

	mu     sync.Mutex
	conf   *tls.Config
	stamp  [3]time.Time // modification times of what conf was read from
	looked time.Time
}

// config implements tls.Config.GetConfigForClient. Files that cannot be read any
// more leave what was read before.
func (c *certificates) config(*tls.ClientHelloInfo) (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conf != nil && time.Since(c.looked) < time.Second {
		return c.conf, nil
	}
	c.looked = time.Now()
	stamp := c.stamps()
	if c.conf != nil && stamp == c.stamp {
		return c.conf, nil
	}
	conf, err := c.read()
	switch {
	case err == nil:
		c.conf = conf
	case c.conf == nil:
		return nil, err
	default:
		c.log.Error("tls files not read again: what was in force stays", "error", err)
	}
	c.stamp = stamp
	return c.conf, nil
}

func (c *certificates) stamps() (s [3]time.Time) {
	for i, path := range []string{c.files.Cert, c.files.Key, c.files.ClientCA} {
		if info, err := os.Stat(path); err == nil {
			s[i] = info.ModTime()
		}
	}
	return s
}

func (c *certificates) read() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return nil, fmt.Errorf("read tls cert and key: %w", err)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if c.files.ClientCA == "" {
		return conf, nil
	}
	pem, err := os.ReadFile(c.files.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("read tls client_ca: %w", err)
	}
	conf.ClientCAs = x509.NewCertPool()
	if !conf.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("tls client_ca holds no PEM certificate")
	}
	conf.ClientAuth = tls.RequireAndVerifyClientCert
	return conf, nil
}
