# Tells whether Windows' firewall would still let the controller in once the PC's network is no
# longer the domain's. Needs probe.ps1. Rules of Group Policy do not count: they may go with it.

# Makes callable what a rule is worth. Add-Type has the C# compiler write temporary files: they hold
# this text.
function Import-FirewallApi {
    if ('Fleetmend.FirewallRule' -as [type]) { return }
    Add-Type -TypeDefinition @'
using System;
using System.Globalization;

namespace Fleetmend
{
    // A rule about incoming traffic, as INetFwRule3 tells it. Null and empty are the same.
    public sealed class FirewallRule
    {
        public bool Allow;
        public int Protocol;
        public string Program;
        public string Service;
        public string Ports;
        public string RemotePorts;
        public string LocalAddresses;
        public string InterfaceTypes;
        public bool OneInterface;
        public int SecureFlags;
        // LocalAppPackageId, LocalUserOwner, LocalUserAuthorizedList, RemoteUserAuthorizedList,
        // RemoteMachineAuthorizedList.
        public string[] Only;

        // Tells whether it may shut a port out behind which this program listens: a broad rule may.
        public bool MayBlock(string listener, int port)
        {
            if (Allow || (Protocol != 6 && Protocol != 256)) { return false; }
            return (IsAny(Program) || IsProgram("svchost.exe") || IsProgram(listener))
                && (IsAny(Ports) || HasPort(port));
        }

        // Tells whether it lets everybody in at this port, to this program. Windows brings rules for
        // Store apps that name neither protocol nor port nor program, and one for the drivers of Wi-Fi
        // Direct that names no port; the condition which makes them harmless is not told of each. So
        // the port must be named, and nothing else may be asked for.
        public bool Admits(string listener, int port)
        {
            if (!Allow || Protocol != 6 || !HasPort(port)) { return false; }
            if (!IsAny(Program) && !IsProgram(listener)) { return false; }
            if (!string.IsNullOrEmpty(Service) && !IsService(listener)) { return false; }
            foreach (string one in Only)
            {
                if (!string.IsNullOrEmpty(one)) { return false; }
            }
            return IsAny(RemotePorts) && IsAny(LocalAddresses) && SecureFlags == 0 && !OneInterface
                && string.Equals(InterfaceTypes, "All", StringComparison.OrdinalIgnoreCase);
        }

        // The kernel listens for WinRM and is no service; sshd.exe is that of the service sshd.
        private bool IsService(string listener)
        {
            return string.Equals(Service + ".exe", listener, StringComparison.OrdinalIgnoreCase);
        }

        private bool IsProgram(string name)
        {
            string program = Program ?? "";
            string file = program.Substring(program.LastIndexOf('\\') + 1);
            return string.Equals(file, name, StringComparison.OrdinalIgnoreCase);
        }

        private static bool IsAny(string text)
        {
            return string.IsNullOrEmpty(text) || text == "*";
        }

        // Ports as "80,5985-5986"; names as RPC are no ports of ours.
        private bool HasPort(int port)
        {
            foreach (string entry in (Ports ?? "").Split(','))
            {
                string[] bounds = entry.Split('-');
                int low, high;
                if (bounds.Length <= 2 && Read(bounds[0], out low) && Read(bounds[bounds.Length - 1], out high)
                    && low <= port && port <= high)
                {
                    return true;
                }
            }
            return false;
        }

        private static bool Read(string text, out int number)
        {
            return int.TryParse(text.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out number);
        }
    }
}
'@
}

# Returns the local ports and remote addresses of the sessions by which controllers may be
# connected now. Over SSH the one is known; over WinRM all at its ports are taken.
function Get-ControllerSessions {
    $found = New-Object System.Collections.ArrayList
    if ($env:SSH_CONNECTION) {
        # Address and port of the other side, then our own.
        $parts = @($env:SSH_CONNECTION -split ' ')
        if ($parts.Count -ge 4) {
            [void]$found.Add([PSCustomObject][ordered]@{ port = [int]$parts[3]; remote = [string]$parts[0] })
            return $found.ToArray()
        }
    }
    $ports = New-Object System.Collections.ArrayList
    $listeners = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('SOFTWARE\Microsoft\Windows\CurrentVersion\WSMAN\Listener')
    if ($null -ne $listeners) {
        try {
            foreach ($name in $listeners.GetSubKeyNames()) {
                $listener = $listeners.OpenSubKey($name)
                try { $port = $listener.GetValue('Port') } finally { $listener.Close() }
                if ($null -ne $port) { [void]$ports.Add([int]$port) }
            }
        } finally {
            $listeners.Close()
        }
    }
    if ($ports.Count -eq 0) { $ports.AddRange(@(5985, 5986)) }
    $known = @{}
    $network = [System.Net.NetworkInformation.IPGlobalProperties]::GetIPGlobalProperties()
    foreach ($connection in $network.GetActiveTcpConnections()) {
        if ($connection.State -ne [System.Net.NetworkInformation.TcpState]::Established) { continue }
        if (-not $ports.Contains([int]$connection.LocalEndPoint.Port)) { continue }
        $remote = $connection.RemoteEndPoint.Address
        if ([System.Net.IPAddress]::IsLoopback($remote)) { continue }
        $text = $remote.ToString()
        $key = $text + ' ' + $connection.LocalEndPoint.Port
        if ($known.ContainsKey($key)) { continue }
        $known[$key] = $true
        [void]$found.Add([PSCustomObject][ordered]@{ port = [int]$connection.LocalEndPoint.Port; remote = $text })
    }
    return $found.ToArray()
}

# Reads an address without the interface that may stand behind it.
function Read-Address([string]$Text) {
    $address = $null
    if (-not [System.Net.IPAddress]::TryParse(($Text -split '%')[0], [ref]$address)) { return $null }
    $bytes = $address.GetAddressBytes()
    # ::ffff:a.b.c.d is a.b.c.d.
    if ($bytes.Length -eq 16) {
        $mapped = $bytes[10] -eq 255 -and $bytes[11] -eq 255
        for ($i = 0; $i -lt 10; $i++) { if ($bytes[$i] -ne 0) { $mapped = $false } }
        if ($mapped) { $bytes = [byte[]]@($bytes[12], $bytes[13], $bytes[14], $bytes[15]) }
    }
    return , $bytes
}

# Makes a mask of so many leading bits.
function New-Mask([int]$Length, [int]$Bits) {
    $mask = New-Object byte[] $Length
    for ($i = 0; $i -lt $Length; $i++) {
        $left = [Math]::Max(0, [Math]::Min(8, $Bits - 8 * $i))
        $mask[$i] = [byte](256 - [Math]::Pow(2, 8 - $left))
    }
    return , $mask
}

# Tells whether two addresses are the same under a mask.
function Test-SameNet([byte[]]$One, [byte[]]$Other, [byte[]]$Mask) {
    if ($One.Length -ne $Other.Length -or $One.Length -ne $Mask.Length) { return $false }
    for ($i = 0; $i -lt $One.Length; $i++) {
        if (($One[$i] -band $Mask[$i]) -ne ($Other[$i] -band $Mask[$i])) { return $false }
    }
    return $true
}

# Orders two addresses of one length.
function Compare-Address([byte[]]$One, [byte[]]$Other) {
    for ($i = 0; $i -lt $One.Length; $i++) {
        if ($One[$i] -ne $Other[$i]) { return [int]$One[$i] - [int]$Other[$i] }
    }
    return 0
}

# Tells whether an address is in one of the PC's own subnets.
function Test-LocalSubnet([byte[]]$Address) {
    foreach ($adapter in [System.Net.NetworkInformation.NetworkInterface]::GetAllNetworkInterfaces()) {
        if ($adapter.OperationalStatus -ne [System.Net.NetworkInformation.OperationalStatus]::Up) { continue }
        foreach ($own in $adapter.GetIPProperties().UnicastAddresses) {
            $bytes = Read-Address $own.Address.ToString()
            if ($null -eq $bytes -or $bytes.Length -ne $Address.Length) { continue }
            $mask = New-Mask 16 64
            if ($bytes.Length -eq 4) {
                if ($null -eq $own.IPv4Mask) { continue }
                $mask = $own.IPv4Mask.GetAddressBytes()
            }
            if (Test-SameNet $bytes $Address $mask) { return $true }
        }
    }
    return $false
}

# Tells whether one entry of a rule's remote addresses covers an address.
function Test-RuleAddress([string]$Entry, [byte[]]$Address) {
    if ($Entry -eq '*') { return $true }
    if ($Entry -eq 'LocalSubnet') { return (Test-LocalSubnet $Address) }
    $bounds = @($Entry -split '-')
    if ($bounds.Count -eq 2) {
        $low = Read-Address $bounds[0]
        $high = Read-Address $bounds[1]
        if ($null -eq $low -or $null -eq $high -or $low.Length -ne $Address.Length -or $high.Length -ne $Address.Length) { return $false }
        return (Compare-Address $low $Address) -le 0 -and (Compare-Address $Address $high) -le 0
    }
    $parts = @($Entry -split '/')
    $net = Read-Address $parts[0]
    if ($null -eq $net) { return $false }
    $mask = New-Mask $net.Length (8 * $net.Length)
    if ($parts.Count -eq 2) {
        $bits = 0
        if ([int]::TryParse($parts[1], [ref]$bits)) { $mask = New-Mask $net.Length $bits } else { $mask = Read-Address $parts[1] }
        if ($null -eq $mask) { return $false }
    }
    return (Test-SameNet $net $Address $mask)
}

# Returns the rules that are about incoming traffic, read once: each property is a call.
function Get-InboundRules($Firewall) {
    $rules = New-Object System.Collections.ArrayList
    # Windows 8 brought rules for apps and users, and the properties that tell of them.
    $hasApps = [Environment]::OSVersion.Version -ge (New-Object System.Version 6, 2)
    foreach ($rule in $Firewall.Rules) {
        # NET_FW_RULE_DIR_IN; NET_FW_IP_PROTOCOL_TCP, NET_FW_IP_PROTOCOL_ANY
        if (-not $rule.Enabled -or $rule.Direction -ne 1 -or @(6, 256) -notcontains $rule.Protocol) { continue }
        # ERROR_NOT_SUPPORTED: what cannot be asked is not taken for unrestricted.
        if ($hasApps -and $null -eq $rule.PSObject.Properties['LocalAppPackageId']) {
            throw (New-Object System.ComponentModel.Win32Exception 50)
        }
        $read = New-Object Fleetmend.FirewallRule
        # NET_FW_ACTION_ALLOW
        $read.Allow = $rule.Action -eq 1
        $read.Protocol = [int]$rule.Protocol
        $read.Program = [string]$rule.ApplicationName
        $read.Service = [string]$rule.serviceName
        $read.Ports = [string]$rule.LocalPorts
        $read.RemotePorts = [string]$rule.RemotePorts
        $read.LocalAddresses = [string]$rule.LocalAddresses
        $read.InterfaceTypes = [string]$rule.InterfaceTypes
        $read.OneInterface = $null -ne $rule.Interfaces -and @($rule.Interfaces).Count -gt 0
        $read.SecureFlags = [int]$rule.SecureFlags
        $read.Only = [string[]]@(
            [string]$rule.LocalAppPackageId
            [string]$rule.LocalUserOwner
            [string]$rule.LocalUserAuthorizedList
            [string]$rule.RemoteUserAuthorizedList
            [string]$rule.RemoteMachineAuthorizedList
        )
        [void]$rules.Add(@{
            rule = $read
            profiles = [long]$rule.Profiles
            remotes = @([string]$rule.RemoteAddresses -split ',')
        })
    }
    return $rules.ToArray()
}

# Tells whether a session of now would be admitted in a profile: 2 private, 4 public.
function Test-Admitted($Firewall, $Rules, [int]$Kind, $Session, [string]$Listener) {
    if (-not $Firewall.FirewallEnabled($Kind)) { return $true }
    if ($Firewall.BlockAllInboundTraffic($Kind)) { return $false }
    $address = Read-Address $Session.remote
    if ($null -eq $address) { return $false }
    # NET_FW_ACTION_ALLOW
    $admitted = $Firewall.DefaultInboundAction($Kind) -eq 1
    $names = @{ 2 = 'StandardProfile'; 4 = 'PublicProfile' }
    $policy = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('SOFTWARE\Policies\Microsoft\WindowsFirewall\' + $names[$Kind])
    if ($null -ne $policy) {
        # 0: the PC's own rules are not looked at.
        try { if ($policy.GetValue('AllowLocalPolicyMerge') -eq 0) { return $admitted } } finally { $policy.Close() }
    }
    foreach ($rule in $Rules) {
        if (($rule.profiles -band $Kind) -eq 0) { continue }
        $blocks = $rule.rule.MayBlock($Listener, $Session.port)
        if (-not $blocks -and -not $rule.rule.Admits($Listener, $Session.port)) { continue }
        $covers = $false
        foreach ($entry in $rule.remotes) {
            if (Test-RuleAddress $entry.Trim() $address) { $covers = $true }
        }
        if (-not $covers) { continue }
        # One that blocks wins.
        if ($blocks) { return $false }
        $admitted = $true
    }
    return $admitted
}

# Tells whether every session of now would be admitted in the private and in the public profile.
function Get-Admission {
    $answer = [PSCustomObject][ordered]@{ sessions = @(); private = $null; public = $null }
    $answer.sessions = @(Get-ControllerSessions)
    if ($answer.sessions.Count -eq 0) { return $answer }
    # What stands behind the port: the kernel listens for WinRM.
    $listener = 'System'
    if ($env:SSH_CONNECTION) { $listener = 'sshd.exe' }
    Import-FirewallApi
    $firewall = New-Object -ComObject HNetCfg.FwPolicy2
    $rules = @(Get-InboundRules $firewall)
    $answer.private = $true
    $answer.public = $true
    foreach ($session in $answer.sessions) {
        if (-not (Test-Admitted $firewall $rules 2 $session $listener)) { $answer.private = $false }
        if (-not (Test-Admitted $firewall $rules 4 $session $listener)) { $answer.public = $false }
    }
    return $answer
}
