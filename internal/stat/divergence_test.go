package stat

import "testing"

func TestDivergence(t *testing.T) {
	t.Parallel()
	x, y := []int{3, 1, 0, 6}, []int{1, 1, 5, 3}
	jsd, err := JensenShannon(x, y)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "JSD", jsd, 0.32451124978365314, 1e-12) // SciPy 1.17.1
	tv, err := TotalVariation(x, y)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "TV", tv, .5, 1e-12)
	h, err := Entropy(x)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "entropy", h, 1.2954618442383217, 1e-12)
	if apart, err := JensenShannon([]int{5, 0}, []int{0, 2}); err != nil || apart != 1 {
		t.Errorf("what shares no letter is %v bits apart: %v", apart, err)
	}
	if same, err := JensenShannon([]int{2, 4, 6}, []int{1, 2, 3}); err != nil || same > 1e-15 {
		t.Errorf("equal shares are %v bits apart: %v", same, err)
	}
	for _, bad := range [][2][]int{{{1}, {1, 2}}, {{0}, {1}}, {{1}, {0}}, {{-1, 3}, {1, 1}}, {nil, nil}} {
		if _, err := JensenShannon(bad[0], bad[1]); err == nil {
			t.Errorf("counts %v: no error", bad)
		}
		if _, err := TotalVariation(bad[0], bad[1]); err == nil {
			t.Errorf("counts %v: no error", bad)
		}
	}
	if _, err := Entropy(nil); err == nil {
		t.Error("the entropy of nothing: no error")
	}
}
