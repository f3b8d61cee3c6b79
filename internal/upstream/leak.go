package upstream

// Longest is the length of the longest credential that Leaks looks for: what it
// could begin with must be seen together with what follows.
func (u *Upstream) Longest() (n int) {
	for _, c := range u.credentials {
		n = max(n, len(c.Reveal()))
	}
	return n
}
