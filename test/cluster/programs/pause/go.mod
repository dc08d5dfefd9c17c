module github.com/virtplane/virtplane/test/cluster/programs/pause

go 1.26.0
