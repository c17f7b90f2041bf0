# Tries ports of another machine.

# Tries TCP ports side by side.
function Test-Ports($Address, [int[]]$Ports, [int]$Milliseconds) {
    $tries = @{}
    foreach ($port in $Ports) {
        $client = New-Object System.Net.Sockets.TcpClient $Address.AddressFamily
        $tries[$port] = @{ client = $client; call = $client.BeginConnect($Address, $port, $null, $null) }
    }
    $clock = [System.Diagnostics.Stopwatch]::StartNew()
    $open = @{}
    foreach ($port in $Ports) {
        $left = [Math]::Max(0, $Milliseconds - $clock.ElapsedMilliseconds)
        $try = $tries[$port]
        $open[$port] = $false
        try {
            if ($try.call.AsyncWaitHandle.WaitOne([int]$left)) {
                $try.client.EndConnect($try.call)
                $open[$port] = $true
            }
        } catch {
            $open[$port] = $false
        } finally {
            $try.client.Close()
        }
    }
    return $open
}
