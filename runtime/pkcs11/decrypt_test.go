package pkcs11

import (
	"bytes"
	"testing"
)

// block makes 0, 2, padding, 0, key.
func block(size int, key []byte) []byte {
	out := bytes.Repeat([]byte{0x5a}, size)
	out[0], out[1], out[size-len(key)-1] = 0, 2, 0
	copy(out[size-len(key):], key)
	return out
}

func TestTakeSessionKey(t *testing.T) {
	wanted := bytes.Repeat([]byte{7}, 48)
	random := bytes.Repeat([]byte{9}, 48)
	for name, test := range map[string]struct {
		change func([]byte)
		want   []byte
	}{
		"good":                    {func([]byte) {}, wanted},
		"first byte":              {func(b []byte) { b[0] = 1 }, random},
		"block type":              {func(b []byte) { b[1] = 1 }, random},
		"no zero":                 {func(b []byte) { b[len(b)-49] = 1 }, random},
		"a zero early":            {func(b []byte) { b[2] = 0 }, random},
		"a zero late: longer key": {func(b []byte) { b[len(b)-50] = 0 }, random},
		"shorter key":             {func(b []byte) { b[len(b)-49], b[len(b)-48] = 1, 0 }, random},
	} {
		content := block(256, wanted)
		test.change(content)
		got := bytes.Clone(random)
		takeSessionKey(got, content)
		if !bytes.Equal(got, test.want) {
			t.Errorf("%s: %x", name, got)
		}
	}
}
