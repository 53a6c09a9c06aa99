package phone

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"sync"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// KeySource gives a device the key pair of the size that its server asked for. It must be safe for many
// phones at once.
type KeySource func(ctx context.Context, device string, size capf.KeySize) (crypto.Signer, error)

var curves = map[capf.KeySize]elliptic.Curve{
	capf.P256: elliptic.P256(), capf.P384: elliptic.P384(), capf.P521: elliptic.P521(),
}

// GenerateKey makes a new key pair, as a phone does.
func GenerateKey(ctx context.Context, _ string, size capf.KeySize) (crypto.Signer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if curve, is := curves[size]; is {
		return ecdsa.GenerateKey(curve, rand.Reader)
	}
	if size.Bits() == 0 {
		return nil, fmt.Errorf("key size %q is not known", size)
	}
	return rsa.GenerateKey(rand.Reader, size.Bits())
}

// PreparedKeys are key pairs made beforehand, so that a measurement is not one of key generation.
type PreparedKeys struct {
	size capf.KeySize
	keys map[string]crypto.Signer
}

// PrepareKeys makes a key pair for every device, that many at a time.
func PrepareKeys(ctx context.Context, devices []string, size capf.KeySize, parallel int) (*PreparedKeys, error) {
	prepared := &PreparedKeys{size: size, keys: make(map[string]crypto.Signer, len(devices))}
	var guard sync.Mutex
	var failure error
	forEach(ctx, len(devices), parallel, func(i int) {
		key, err := GenerateKey(ctx, devices[i], size)
		guard.Lock()
		defer guard.Unlock()
		if err != nil {
			failure = err
			return
		}
		prepared.keys[devices[i]] = key
	})
	if failure == nil {
		failure = ctx.Err()
	}
	if failure != nil {
		return nil, fmt.Errorf("making keys beforehand: %w", failure)
	}
	return prepared, nil
}

// Key is a KeySource.
func (p *PreparedKeys) Key(_ context.Context, device string, size capf.KeySize) (crypto.Signer, error) {
	if size != p.size {
		return nil, fmt.Errorf("keys of size %s were made beforehand, the server asks for %s", p.size, size)
	}
	key, there := p.keys[device]
	if !there {
		return nil, fmt.Errorf("no key was made beforehand for %s", device)
	}
	return key, nil
}

var curveSizes = map[wire.Curve]capf.KeySize{
	wire.CurveP256: capf.P256, wire.CurveP384: capf.P384, wire.CurveP521: capf.P521,
}

// requestedSize is what a key generation request asks for. A phone of version 2 is asked with the key size
// alone [C]; that it takes nothing else is a choice of the simulation, so that a server's mistake shows.
func requestedSize(request wire.KeyGenerationRequest, version uint8) (capf.KeySize, error) {
	if version <= wire.Version2 && (request.KeyType.Present || request.Curve.Present) {
		return "", fmt.Errorf("a phone of protocol version %d is asked for a key type", version)
	}
	switch kind := request.KeyType.Or(wire.KeyRSA); {
	case kind == wire.KeyEC && request.Curve.Present:
		if size, known := curveSizes[request.Curve.Value]; known {
			return size, nil
		}
		return "", fmt.Errorf("%v is not known", request.Curve.Value)
	case kind == wire.KeyRSA && request.KeySize.Present:
		var size capf.KeySize
		if err := size.UnmarshalText(fmt.Append(nil, request.KeySize.Value)); err != nil {
			return "", err
		}
		return size, nil
	default:
		return "", fmt.Errorf("a key of type %v is asked for without its size or curve, or is not known", kind)
	}
}
