package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Policy says how long certificates live.
type Policy struct {
	// Authority is the life of an authority, Leaf that of everything it signs.
	Authority, Leaf time.Duration
}

// DefaultPolicy renews leaves every few days and authorities twice in three years.
var DefaultPolicy = Policy{Authority: 2 * 365 * 24 * time.Hour, Leaf: 7 * 24 * time.Hour}

// backdate allows for clocks that are behind.
const backdate = 5 * time.Minute

// renewAt is when a certificate is replaced: after half of its life.
func renewAt(c *x509.Certificate) time.Time {
	return c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 2)
}

// alarmAt is when a certificate should long have been replaced: a tenth of its life is left.
func alarmAt(c *x509.Certificate) time.Time {
	return c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore) / 10)
}

// Pair is a certificate with its key.
type Pair struct {
	Cert    *x509.Certificate
	Key     crypto.Signer
	CertPEM []byte
	KeyPEM  []byte
}

func parsePair(cert, key []byte) (*Pair, error) {
	c, err := parseCert(cert)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(key)
	if block == nil {
		return nil, errors.New("the key is not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parsing the key: %w", err)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", parsed)
	}
	if pub, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(c.PublicKey) {
		return nil, errors.New("the key does not belong to the certificate")
	}
	return &Pair{Cert: c, Key: signer, CertPEM: cert, KeyPEM: key}, nil
}

func parseCert(b []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("the certificate is not PEM")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parsing the certificate: %w", err)
	}
	return c, nil
}

func parseBundle(b []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return all, nil
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parsing a certificate of the bundle: %w", err)
		}
		all = append(all, c)
	}
}

func encodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func newKey() (crypto.Signer, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func serial() (*big.Int, error) { return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) }

// newAuthority makes a self-signed authority.
func newAuthority(now time.Time, life time.Duration) (*Pair, error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, err
	}
	n, err := serial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: n,
		// Authorities that follow each other differ in name, so that none is taken for the other.
		Subject:               pkix.Name{CommonName: fmt.Sprintf("virtplane@%d", now.Unix())},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(life),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	return &Pair{Cert: c, Key: key, CertPEM: encodeCert(der), KeyPEM: keyPEM}, err
}

// Request is what a certificate is to be good for.
type Request struct {
	Name   string
	Hosts  []string
	Usages []x509.ExtKeyUsage
}

// sign makes a certificate for a public key.
func (p *Pair) sign(r Request, public crypto.PublicKey, now time.Time, life time.Duration) ([]byte, error) {
	n, err := serial()
	if err != nil {
		return nil, err
	}
	end := now.Add(life)
	if end.After(p.Cert.NotAfter) {
		end = p.Cert.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber: n,
		Subject:      pkix.Name{CommonName: r.Name},
		NotBefore:    now.Add(-backdate),
		NotAfter:     end,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  r.Usages,
	}
	for _, h := range r.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, p.Cert, public, p.Key)
	if err != nil {
		return nil, fmt.Errorf("signing the certificate of %s: %w", r.Name, err)
	}
	return encodeCert(der), nil
}

// issue makes a certificate with a key of its own.
func (p *Pair) issue(r Request, now time.Time, life time.Duration) (cert, key []byte, err error) {
	signer, keyPEM, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	cert, err = p.sign(r, signer.Public(), now, life)
	return cert, keyPEM, err
}

// Keys of the authority's Secret.
const (
	keyCert     = "tls.crt"
	keyKey      = "tls.key"
	keyNextCert = "next.crt"
	keyNextKey  = "next.key"
	keyBundle   = "ca-bundle.crt"
)

// ensureAuthority brings the content of the authority's Secret up to date. An authority is replaced in two steps: its
// successor is published first, and signs once every certificate that was handed out together with an older bundle has been
// renewed.
func ensureAuthority(old map[string][]byte, now time.Time, policy Policy) (data map[string][]byte, signer *Pair, err error) {
	signer, err = parsePair(old[keyCert], old[keyKey])
	if err != nil || !now.Before(signer.Cert.NotAfter) {
		// None, a damaged one, or one that has ended: there is nothing to be gentle with.
		if signer, err = newAuthority(now, policy.Authority); err != nil {
			return nil, nil, err
		}
		return authorityData(signer, nil, old[keyBundle], now), signer, nil
	}
	next, err := parsePair(old[keyNextCert], old[keyNextKey])
	if err != nil {
		next = nil
	}
	published := func() time.Time { return next.Cert.NotBefore.Add(backdate) }
	switch {
	case next == nil && !now.Before(renewAt(signer.Cert)):
		if next, err = newAuthority(now, policy.Authority); err != nil {
			return nil, nil, err
		}
	case next != nil && !now.Before(published().Add(policy.Leaf)):
		signer, next = next, nil
	}
	return authorityData(signer, next, old[keyBundle], now), signer, nil
}

// authorityData composes the Secret: the bundle keeps every authority that has not ended.
func authorityData(signer, next *Pair, oldBundle []byte, now time.Time) map[string][]byte {
	data := map[string][]byte{keyCert: signer.CertPEM, keyKey: signer.KeyPEM}
	bundle := bytes.Clone(signer.CertPEM)
	known := []*x509.Certificate{signer.Cert}
	if next != nil {
		data[keyNextCert], data[keyNextKey] = next.CertPEM, next.KeyPEM
		bundle = append(bundle, next.CertPEM...)
		known = append(known, next.Cert)
	}
	older, err := parseBundle(oldBundle)
	if err != nil {
		older = nil // a damaged bundle helps nobody
	}
outer:
	for _, c := range older {
		for _, k := range known {
			if c.Equal(k) {
				continue outer
			}
		}
		if now.Before(c.NotAfter) {
			bundle = append(bundle, encodeCert(c.Raw)...)
		}
	}
	data[keyBundle] = bundle
	return data
}

// ensureLeaf returns the certificate that stands in a Secret, or a new one when it must be replaced.
func ensureLeaf(oldCert, oldKey []byte, signer *Pair, bundle []byte, r Request, now time.Time, policy Policy) (cert, key []byte, err error) {
	if p, err := parsePair(oldCert, oldKey); err == nil && now.Before(renewAt(p.Cert)) && signed(p.Cert, bundle, r, now) {
		return oldCert, oldKey, nil
	}
	return signer.issue(r, now, policy.Leaf)
}

// signed is true when a certificate of the bundle stands behind c and c is good for everything that r wants.
func signed(c *x509.Certificate, bundle []byte, r Request, now time.Time) bool {
	if c.Subject.CommonName != r.Name {
		return false
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	for _, usage := range r.Usages {
		if _, err := c.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
			return false
		}
	}
	for _, h := range r.Hosts {
		if len(h) > 2 && h[:2] == "*." {
			h = "any" + h[1:]
		}
		if c.VerifyHostname(h) != nil {
			return false
		}
	}
	return true
}
