package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrRunning means that another process owns the data folder.
var ErrRunning = errors.New("another sallyport owns this data folder")

// Folder is the data folder of one process: the database, the journal, the
// secret and the socket are in it, and nobody else has it open.
type Folder struct {
	dir  string
	lock *os.File
	home string // where it is now

	// Moved says that the folder is not where, or not on the machine on which,
	// it was last used: it was copied or moved.
	Moved bool
}

// lockFile is held by the process that owns the folder.
const lockFile = "lock"

// OpenFolder makes the folder when it is missing and takes its lock. It fails
// with ErrRunning when another process has it.
func OpenFolder(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	if err := private(dir); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the data folder's lock: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrRunning
		}
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	f := &Folder{dir: dir, lock: lock}
	if err := f.recognise(); err != nil {
		lock.Close()
		return nil, err
	}
	return f, nil
}

// Founded reports whether a data folder was used before.
func Founded(dir string) bool {
	return slices.ContainsFunc([]string{lockFile, "sallyport.db", "journal"}, func(name string) bool {
		_, err := os.Lstat(filepath.Join(dir, name))
		return !errors.Is(err, os.ErrNotExist)
	})
}

// private closes a folder that others may enter. It changes the mode of a folder
// that is Sallyport's, or empty, and of no other: what was named may be one that
// the whole machine needs, such as /tmp.
func private(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the data folder: %w", err)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look at the data folder: %w", err)
	}
	ours := !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() != "lost+found" })
	for _, e := range entries {
		ours = ours || e.Name() == lockFile
	}
	if !ours {
		return fmt.Errorf("the data folder %s holds other files and may be entered by others (mode %04o): name an empty one, or one of its own, with --data", dir, info.Mode().Perm())
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("the data folder is open to others and cannot be closed: %w", err)
	}
	return nil
}

// recognise compares the folder with what it was when it was last used. The
// lock file's inode and the machine's id change when a folder is copied.
func (f *Folder) recognise() error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.lock.Fd()), &st); err != nil {
		return fmt.Errorf("look at the data folder's lock: %w", err)
	}
	machine, _ := os.ReadFile("/etc/machine-id")
	f.home = fmt.Sprintf("inode %d device %d machine %s\n", st.Ino, st.Dev, strings.TrimSpace(string(machine)))
	last, err := os.ReadFile(f.Path("home"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read the data folder's home: %w", err)
	}
	f.Moved = err == nil && string(last) != f.home
	return nil
}

// Settle remembers where the folder is now. It comes after everything that a
// moved folder demands is done, so that a start that fails before is repeated.
func (f *Folder) Settle() error {
	path := f.Path("home")
	if last, err := os.ReadFile(path); err == nil && string(last) == f.home {
		return nil
	}
	fresh := path + ".new"
	if err := os.WriteFile(fresh, []byte(f.home), 0o600); err != nil {
		return fmt.Errorf("write the data folder's home: %w", err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("write the data folder's home: %w", err)
	}
	return nil
}

// Path is the path of a file in the folder.
func (f *Folder) Path(name string) string { return filepath.Join(f.dir, name) }

// Close gives the folder up.
func (f *Folder) Close() error { return f.lock.Close() }

// SocketPath is where the owner of a data folder listens.
func SocketPath(dir string) string { return filepath.Join(dir, "admin.sock") }

// maxSocketPath is the longest path that fits a socket's address (unix(7)).
const maxSocketPath = len(unix.RawSockaddrUnix{}.Path) - 1

// socketName is a name by which a socket can be bound and reached: its path, or,
// where that is too long for a socket's address, a path through a descriptor of
// its folder, which holds until release is called.
func socketName(path string) (name string, release func(), err error) {
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	fd, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("open the socket's folder: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", fd, filepath.Base(path)), func() { unix.Close(fd) }, nil
}

// listenSocket listens on the folder's socket; only its owner may connect. The
// lock is held, so a socket file that is there belongs to nobody.
func (f *Folder) listenSocket() (net.Listener, error) {
	path := SocketPath(f.dir)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the old socket: %w", err)
	}
	name, release, err := socketName(path)
	if err != nil {
		return nil, fmt.Errorf("listen on the data folder's socket: %w", err)
	}
	defer release()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on the data folder's socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // by a name that may not hold then
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("protect the data folder's socket: %w", err)
	}
	return &ownerListener{l, path}, nil
}

// ownerListener accepts connections of this process's own user and of root only
// (SO_PEERCRED, unix(7)).
type ownerListener struct {
	*net.UnixListener
	path string
}

// Close implements net.Listener.
func (l *ownerListener) Close() error {
	_ = os.Remove(l.path) // a later owner removes it as well
	return l.UnixListener.Close()
}

// Accept implements net.Listener.
func (l *ownerListener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if owner(c) {
			return c, nil
		}
		c.Close()
	}
}

func owner(c *net.UnixConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil || credErr != nil {
		return false
	}
	return cred.Uid == uint32(os.Getuid()) || cred.Uid == 0
}

// DialSocket connects to the gateway that owns a data folder.
func DialSocket(ctx context.Context, path string) (net.Conn, error) {
	name, release, err := socketName(path)
	if err != nil {
		return nil, err
	}
	defer release()
	var d net.Dialer
	return d.DialContext(ctx, "unix", name)
}
