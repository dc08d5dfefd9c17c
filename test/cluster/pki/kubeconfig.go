package pki

import (
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Kubeconfig gives the file with which user reaches server.
func Kubeconfig(cluster, server, user string, ca []byte, client Pair) ([]byte, error) {
	c := api.NewConfig()
	c.Clusters[cluster] = &api.Cluster{Server: server, CertificateAuthorityData: ca}
	c.AuthInfos[user] = &api.AuthInfo{ClientCertificateData: client.Cert, ClientKeyData: client.Key}
	c.Contexts[cluster] = &api.Context{Cluster: cluster, AuthInfo: user}
	c.CurrentContext = cluster
	return clientcmd.Write(*c)
}
